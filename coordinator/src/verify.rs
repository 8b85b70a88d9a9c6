//! Checks what a database promises: every point has its trial with its settings, every finished trial exactly one result, attempts
//! fit states, counters equal rows, files match their hashes. Reads only; a coordinator may be at work meanwhile.

use std::collections::{HashMap, HashSet};

use descent_spec::id::{ContentHash, Identity};
use descent_spec::state::SweepState;

use crate::artifacts::{ArtifactError, Artifacts};
use crate::points::Points;
use crate::reader::{Cell, Reader};
use crate::store::{StoreError, SweepRow};

/// Bytes of a file read at once.
const BLOCK: u64 = 4 << 20;
/// Details shown for one check: the first ones say enough.
const SHOWN: usize = 5;
/// More rows than any sweep has.
const ALL: usize = 100_000_000;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The sweep.
    pub sweep: String,
    /// What was checked, as a sentence that should be true.
    pub check: &'static str,
    /// How many things were looked at.
    pub examined: u64,
    /// How many were not as they should be.
    pub wrong: u64,
    /// The first of them.
    pub details: Vec<String>,
}

/// Conditions that hold in every database, each a query for the rows that break it: what is wrong, as text. `$SWEEP` stands for a
/// row number, which is a number and nothing else.
const CONDITIONS: [(&str, &str); 10] = [
    (
        "every succeeded trial has its result",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id LEFT JOIN result r ON r.trial_id = t.id WHERE s.sweep_id = $SWEEP AND t.state = 'succeeded' AND r.trial_id IS NULL",
    ),
    (
        "every result belongs to a succeeded trial",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN result r ON r.trial_id = t.id WHERE s.sweep_id = $SWEEP AND t.state <> 'succeeded'",
    ),
    (
        "every result is that of a succeeded attempt, or was imported",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN result r ON r.trial_id = t.id LEFT JOIN attempt a ON a.trial_id = t.id AND a.attempt = r.attempt AND a.outcome = 'succeeded' WHERE s.sweep_id = $SWEEP AND r.attempt > 0 AND a.trial_id IS NULL",
    ),
    (
        "counters equal rows",
        "SELECT state || ': counted ' || n || ', kept ' || kept FROM (SELECT w.state AS state, (SELECT count(*) FROM sweep_trial s JOIN trial t ON t.id = s.trial_id WHERE s.sweep_id = $SWEEP AND t.state = w.state) AS n, coalesce((SELECT sum(trials) FROM sweep_tally y WHERE y.sweep_id = $SWEEP AND y.state = w.state), 0) AS kept FROM (SELECT DISTINCT state FROM trial UNION SELECT DISTINCT state FROM sweep_tally) w) c WHERE n <> kept",
    ),
    (
        "a trial has as many attempts as it was claimed, at most one of them succeeded",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id LEFT JOIN attempt a ON a.trial_id = t.id WHERE s.sweep_id = $SWEEP GROUP BY t.id, t.identity, t.attempt, t.state HAVING COUNT(a.attempt) <> t.attempt OR SUM(CASE WHEN a.outcome = 'succeeded' THEN 1 ELSE 0 END) > 1",
    ),
    (
        "a trial has an open attempt, its last one, exactly while a worker may write about it",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id LEFT JOIN attempt a ON a.trial_id = t.id AND a.ended_at IS NULL WHERE s.sweep_id = $SWEEP GROUP BY t.id, t.identity, t.session, t.attempt HAVING (t.session IS NULL AND COUNT(a.attempt) > 0) OR (t.session IS NOT NULL AND (COUNT(a.attempt) <> 1 OR MAX(a.attempt) <> t.attempt))",
    ),
    (
        "what waits for another trial can still have it, and what may run has what it waited for",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN trial p ON p.id = t.parent_id WHERE s.sweep_id = $SWEEP AND ((t.state = 'blocked' AND p.state IN ('succeeded', 'failed', 'poisoned', 'cancelled', 'skipped')) OR (t.state IN ('ready', 'leased', 'delayed') AND p.state <> 'succeeded'))",
    ),
    (
        "no other attempt has measured beyond the result",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN result r ON r.trial_id = t.id WHERE s.sweep_id = $SWEEP AND EXISTS (SELECT 1 FROM metric m WHERE m.trial_id = t.id AND m.epoch > r.epoch AND m.attempt <> r.attempt)",
    ),
    (
        "a finished sweep has nothing left to do",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN sweep w ON w.id = s.sweep_id WHERE s.sweep_id = $SWEEP AND w.state = 'finished' AND t.state IN ('blocked', 'ready', 'leased', 'delayed')",
    ),
    (
        "the weights file of a result has the hash of its weights",
        "SELECT t.identity FROM sweep_trial s JOIN trial t ON t.id = s.trial_id JOIN result r ON r.trial_id = t.id JOIN artifact f ON f.trial_id = t.id AND f.purpose = 'weights' WHERE s.sweep_id = $SWEEP AND r.weights <> f.hash",
    ),
];

/// Trials read at once.
const PAGE: usize = 20_000;

/// Checks one sweep.
///
/// # Errors
/// When the database cannot be read. What is wrong in it is a finding, not an error.
pub async fn verify(
    reader: &Reader,
    artifacts: Option<&Artifacts>,
    sweep: &SweepRow,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let trials = trials(reader, sweep).await?;
    findings.extend(coverage(sweep, &trials));
    for (check, query) in CONDITIONS {
        let wrong = texts(reader, &query.replace("$SWEEP", &sweep.id.to_string())).await?;
        findings.push(finding(sweep, check, trials.len(), wrong));
    }
    if let Some(artifacts) = artifacts {
        let query = format!(
            "SELECT DISTINCT f.hash || ' ' || f.bytes FROM sweep_trial s JOIN artifact f ON f.trial_id = s.trial_id WHERE s.sweep_id = {}",
            sweep.id
        );
        let files = texts(reader, &query).await?;
        let mut wrong = Vec::new();
        for file in &files {
            if let Some(reason) = damaged(artifacts, file).await {
                wrong.push(reason);
            }
        }
        findings.push(finding(
            sweep,
            "files match their hashes",
            files.len(),
            wrong,
        ));
    }
    Ok(findings)
}

/// A sweep's trials by name, each with the hash of its settings.
type Trials = HashMap<Identity, ContentHash>;

/// Reads them, a page at a time.
async fn trials(reader: &Reader, sweep: &SweepRow) -> Result<Trials, StoreError> {
    let mut trials = Trials::new();
    let mut after = 0;
    loop {
        let query = format!(
            "SELECT s.trial_id, t.identity, coalesce(p.params, '') FROM sweep_trial s JOIN trial t ON t.id = s.trial_id LEFT JOIN trial_spec p ON p.trial_id = t.id WHERE s.sweep_id = {} AND s.trial_id > {after} ORDER BY s.trial_id LIMIT {PAGE}",
            sweep.id
        );
        let rows = reader.query(&query, PAGE).await?.rows;
        let read = rows.len();
        for row in rows {
            if let Ok([Cell::Int(id), Cell::Text(identity), Cell::Text(params)]) =
                <[Cell; 3]>::try_from(row)
            {
                after = id;
                if let Ok(identity) = identity.parse() {
                    trials.insert(identity, ContentHash::of(params.as_bytes()));
                }
            }
        }
        if read < PAGE {
            return Ok(trials);
        }
    }
}

/// Whether the points of the sweep's file and its trials are the same set, with the same settings.
fn coverage(sweep: &SweepRow, trials: &Trials) -> Vec<Finding> {
    let check = "every point of the file has its trial, and nothing else";
    let points = match Points::stored(&sweep.source, &sweep.data) {
        Ok(points) => points,
        Err(error) => return vec![finding(sweep, check, 0, vec![error.to_string()])],
    };
    let grid = points.grid();
    let (mut wrong, mut other) = (Vec::new(), Vec::new());
    let mut expected: HashSet<Identity> = HashSet::new();
    for rank in 0..grid.raw_points() {
        let Some(point) = grid.point(rank) else {
            continue;
        };
        let identity = point.key.identity;
        if !expected.insert(identity) {
            continue;
        }
        match trials.get(&identity) {
            // Beyond the cursor, points are still on their way.
            None if rank < sweep.cursor => wrong.push(format!("missing {identity}")),
            None => {}
            Some(found) if *found == ContentHash::of(point.params.to_json().as_bytes()) => {}
            Some(_) => other.push(identity.to_string()),
        }
    }
    // While an edited sweep expands, the trials of its old text are still there.
    if sweep.state != SweepState::Expanding {
        let surplus = trials
            .keys()
            .filter(|identity| !expected.contains(identity));
        wrong.extend(surplus.map(|identity| format!("not in the file: {identity}")));
    }
    vec![
        finding(sweep, check, expected.len(), wrong),
        finding(
            sweep,
            "every trial has the settings of its point",
            trials.len(),
            other,
        ),
    ]
}

/// Why a stored file is not what its row says; `None`: it is.
async fn damaged(artifacts: &Artifacts, file: &str) -> Option<String> {
    let (hash, bytes) = file.split_once(' ')?;
    let (Ok(hash), Ok(bytes)) = (hash.parse::<ContentHash>(), bytes.parse::<u64>()) else {
        return Some(format!("{file} is no hash and length"));
    };
    match content(artifacts, hash).await {
        Ok((found, length)) if found == hash && length == bytes => None,
        Ok((found, length)) => Some(format!("{hash}: {length} of {bytes} bytes, hash {found}")),
        Err(error) => Some(error.to_string()),
    }
}

/// Hash and length of a stored file.
async fn content(
    artifacts: &Artifacts,
    hash: ContentHash,
) -> Result<(ContentHash, u64), ArtifactError> {
    let length = artifacts.length(hash).await?;
    let mut hasher = blake3::Hasher::new();
    let mut from = 0;
    while from < length {
        let to = (from + BLOCK).min(length);
        hasher.update(&artifacts.read(hash, from..to).await?);
        from = to;
    }
    Ok((ContentHash(*hasher.finalize().as_bytes()), length))
}

/// The first column of a query's rows.
async fn texts(reader: &Reader, query: &str) -> Result<Vec<String>, StoreError> {
    let table = reader.query(query, ALL).await?;
    let text = |row: Vec<Cell>| match row.into_iter().next() {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    };
    Ok(table.rows.into_iter().filter_map(text).collect())
}

fn finding(
    sweep: &SweepRow,
    check: &'static str,
    examined: usize,
    mut wrong: Vec<String>,
) -> Finding {
    let count = wrong.len() as u64;
    wrong.truncate(SHOWN);
    Finding {
        sweep: sweep.name.clone(),
        check,
        examined: examined as u64,
        wrong: count,
        details: wrong,
    }
}
