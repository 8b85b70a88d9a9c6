//! Which trials a claim takes: the most urgent class that fits, then trials of it through the claim index.

use descent_spec::id::{ContentHash, Timestamp};

use super::super::super::{Ask, StoreError};
use super::{Conn, Db, Row, dialect, row, session, statements, sweeps};
use crate::core::share::{self, Candidate, Room, Work};

/// A statement with its parameters.
type Query<'q> = sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments>;

/// How many trials a claim looks at before it looks for the classes that they are of.
macro_rules! front {
    () => {
        "64"
    };
}

/// The classes that have a ready trial, each found by a probe of the claim index; the last one is NULL.
macro_rules! live {
    () => {
        "SELECT (
            SELECT class_id FROM trial WHERE state = 'ready' AND held = 0 ORDER BY class_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT trial.class_id FROM trial
            WHERE trial.state = 'ready' AND trial.held = 0 AND trial.class_id > live.id
            ORDER BY trial.class_id LIMIT 1
        ) FROM live WHERE live.id IS NOT NULL"
    };
}

/// Whether a class is what a worker is and has.
macro_rules! fits {
    () => {
        concat!(
            "class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3) AND class.data IN ",
            dialect::texts!("$4")
        )
    };
}

/// What the samples of a class take of a worker's free memory: nothing where it holds them.
macro_rules! shared {
    () => {
        concat!(
            "CASE WHEN class.pack_key IN ",
            dialect::texts!("$6"),
            " THEN 0 ELSE class.data_memory END"
        )
    };
}

/// Whether a trial finds room; a negative number stands for whatever it takes.
macro_rules! finds_room {
    ($memory:literal) => {
        concat!(
            "(CAST($5 AS BIGINT) < 0 OR ",
            $memory,
            " <= CAST($5 AS BIGINT) - ",
            shared!(),
            ")"
        )
    };
}

statements! {
    /// The class of the most urgent trial that fits, if it is among the first few.
    FRONT = concat!("SELECT front.class_id AS id, CAST(", shared!(), " AS BIGINT) AS shared FROM (
            SELECT class_id, priority, ord, id, memory FROM trial WHERE state = 'ready' AND held = 0
            ORDER BY priority DESC, ord, id LIMIT ", front!(), "
        ) AS front
        JOIN class ON class.id = front.class_id
        WHERE ", fits!(), " AND ", finds_room!("front.memory"), "
        ORDER BY front.priority DESC, front.ord, front.id LIMIT 1");
    /// The same, however many go before it that do not fit: one probe of the claim index for each class that has a ready
    /// trial, from one to the next, then the most urgent of the firsts. Of a class, no more are looked at than near the end.
    PICK = concat!("WITH RECURSIVE live (id) AS (", live!(), ")
        SELECT class.id, CAST(", shared!(), " AS BIGINT) AS shared FROM live
        JOIN class ON class.id = live.id
        JOIN trial ON trial.id = (
            SELECT first.id FROM (
                SELECT head.id, head.memory FROM trial AS head
                WHERE head.class_id = class.id AND head.state = 'ready' AND head.held = 0
                ORDER BY head.priority DESC, head.ord, head.id LIMIT $7
            ) AS first
            WHERE ", finds_room!("first.memory"), " LIMIT 1
        )
        WHERE ", fits!(), "
        ORDER BY trial.priority DESC, trial.ord, trial.id LIMIT 1");
    /// Of the workers at hand that the class fits: how many there are, how many packs they train side by side, and the most
    /// memory that one has.
    SLOTS = concat!("SELECT CAST(COUNT(*) AS BIGINT) AS workers,
            CAST(COALESCE(SUM(session.slots), 0) AS BIGINT) AS slots,
            CAST(COALESCE(MAX(session.memory), 0) AS BIGINT) AS memory
        FROM session JOIN class ON class.id = $1
        WHERE session.state = 'open'
            AND class.device IN ('', session.device, session.device_kind)
            AND class.instruction_set IN ('', session.instruction_set)
            AND (session.data IS NULL OR class.data IN ", dialect::texts!("session.data"), ")");
    /// What a claim near the end weighs: the most urgent, and which of them fit.
    NEAR_END = concat!("SELECT front.id, front.class_id, front.priority, front.cost, front.memory,
            CAST(CASE WHEN ", fits!(), " AND ", finds_room!("front.memory"), " THEN 1 ELSE 0 END AS BIGINT) AS fits
        FROM (
            SELECT id, class_id, priority, ord, cost, memory FROM trial WHERE state = 'ready' AND held = 0
            ORDER BY priority DESC, ord, id LIMIT $7
        ) AS front
        JOIN class ON class.id = front.class_id
        ORDER BY front.priority DESC, front.ord, front.id");
    MISSING = concat!("WITH RECURSIVE live (id) AS (", live!(), ")
        SELECT DISTINCT class.data FROM live
        JOIN class ON class.id = live.id
        WHERE class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3)
        ORDER BY class.data");
    /// What a session took after this time.
    BEGUN = "SELECT CAST(COUNT(*) AS BIGINT) AS trials, COALESCE(SUM(cost), 0.0) AS cost FROM trial
        WHERE state = 'leased' AND session = $1 AND leased_at > $2";
    /// The most urgent of a class that take no more memory than this.
    FIRST = concat!("SELECT id, priority, cost, memory FROM trial
        WHERE class_id = $1 AND state = 'ready' AND held = 0 AND memory <= $3
        ORDER BY priority DESC, ord, id LIMIT $2", dialect::skip_locked!());
    /// Of these trials of one priority, the costliest that nobody is about to take.
    COSTLIEST = concat!("SELECT id, priority, cost, memory FROM trial
        WHERE state = 'ready' AND held = 0 AND id IN ", dialect::ints!("$1"), "
        ORDER BY cost DESC, ord, id LIMIT $2", dialect::skip_locked!());
}

/// What decides which classes fit a worker, and which trials.
pub(super) struct Asker {
    device: String,
    kind: String,
    instruction_set: String,
    /// Hashes of its data sets, as a list.
    pub(super) data: String,
    /// Pack keys whose samples it holds, as a list.
    samples: String,
    /// What it has free, in bytes.
    memory: i64,
}

/// In the place of a number of bytes: trials of any size.
const WHATEVER_IT_TAKES: i64 = -1;

impl Asker {
    /// From a session's row, and what it asks for.
    pub(super) fn new(session: &Row, ask: &Ask) -> Result<Self, StoreError> {
        let samples: Vec<String> = ask.samples.iter().map(ToString::to_string).collect();
        Ok(Self {
            device: row::text(session, "device")?,
            kind: row::text(session, "device_kind")?,
            instruction_set: row::text(session, "instruction_set")?,
            data: session::hashes(&ask.data),
            samples: row::list(&samples),
            memory: row::signed(ask.memory),
        })
    }

    /// A statement that begins with what the worker is and has, and asks for trials of so many bytes at most.
    fn query<'q>(&'q self, statement: &'static str, memory: i64) -> Query<'q> {
        sqlx::query::<Db>(statement)
            .bind(&self.device)
            .bind(&self.kind)
            .bind(&self.instruction_set)
            .bind(&self.data)
            .bind(memory)
            .bind(&self.samples)
    }
}

/// A class to take trials of.
struct Picked {
    class: i64,
    /// What its samples take of the asker's memory.
    shared: u64,
}

/// The class of the most urgent trial that fits and takes no more than so many bytes.
async fn pick(conn: &mut Conn, asker: &Asker, memory: i64) -> Result<Option<Picked>, StoreError> {
    let front = asker.query(FRONT, memory);
    let mut found = front.fetch_optional(&mut *conn).await?;
    if found.is_none() {
        let whole = asker.query(PICK, memory);
        found = whole
            .bind(i64::from(share::FRONT_MOST))
            .fetch_optional(&mut *conn)
            .await?;
    }
    let picked = |found: &Row| {
        Ok(Picked {
            class: row::int(found, "id")?,
            shared: row::unsigned(found, "shared")?,
        })
    };
    found.as_ref().map(picked).transpose()
}

/// Data sets of the trials that fit otherwise.
async fn missing(conn: &mut Conn, asker: &Asker) -> Result<Vec<ContentHash>, StoreError> {
    let missing = sqlx::query::<Db>(MISSING)
        .bind(&asker.device)
        .bind(&asker.kind)
        .bind(&asker.instruction_set)
        .fetch_all(conn)
        .await?;
    missing
        .iter()
        .map(|found| row::digest(found, "data"))
        .collect()
}

/// What a claim comes to.
pub(super) enum Chosen {
    /// It takes these trials, of one class; none where all that fit wait for more room, or for others.
    Trials(Vec<i64>),
    /// Nothing fits; trials that would wait for these data sets.
    Missing(Vec<ContentHash>),
}

/// What one claim takes.
pub(super) async fn choose(
    conn: &mut Conn,
    asker: &Asker,
    ask: &Ask,
    now: Timestamp,
) -> Result<Chosen, StoreError> {
    match pick(conn, asker, WHATEVER_IT_TAKES).await? {
        Some(class) => Ok(Chosen::Trials(trials(conn, asker, class, ask, now).await?)),
        None => Ok(Chosen::Missing(missing(conn, asker).await?)),
    }
}

/// The trials that one claim takes; others may not take them any more in this moment. They are of the most urgent class, unless
/// what is too large for this worker, but not for another, stands in the way there.
async fn trials(
    conn: &mut Conn,
    asker: &Asker,
    most_urgent: Picked,
    ask: &Ask,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    let mut picked = most_urgent;
    let mut others = workers(conn, picked.class).await?;
    let most = others.memory <= ask.memory;
    let mut limit = WHATEVER_IT_TAKES;
    if !most {
        limit = asker.memory;
        let Some(fitting) = pick(conn, asker, limit).await? else {
            return Ok(Vec::new());
        };
        if fitting.class != picked.class {
            others = workers(conn, fitting.class).await?;
        }
        picked = fitting;
    }
    let room = Room {
        trials: ask.max_trials,
        memory: ask.memory.saturating_sub(picked.shared),
        most,
    };
    let ready = sweeps::ready(conn).await?;
    if !share::is_near_end(ready, room.trials, others.slots) {
        return Ok(share::fitting(&first(conn, &picked, room).await?, room));
    }
    let near_end = asker.query(NEAR_END, limit);
    let front = near_end
        .bind(i64::from(share::FRONT_MOST))
        .fetch_all(&mut *conn)
        .await?;
    let (mut costs, mut alike) = (Vec::new(), Vec::new());
    for (found, candidate) in front.iter().zip(candidates(&front)?) {
        if row::int(found, "fits")? == 1 {
            costs.push(candidate.cost);
            if row::int(found, "class_id")? == picked.class {
                alike.push(candidate);
            }
        }
    }
    let (mut trials, mut work) = share::all_work(costs.into_iter(), front.len(), ready);
    if alike.is_empty() {
        // They stand further back, behind those that only others can train: what is seen of them is all that counts.
        alike = first(conn, &picked, room).await?;
        trials = alike.len() as u64;
        work = alike.iter().map(|candidate| candidate.cost).sum();
    }
    let mut costliest = share::costliest_first(alike);
    let most_trials = if others.workers == 1 {
        let ready = Work { trials, cost: work };
        let begun = begun(&mut *conn, ask, now).await?;
        costliest = share::even_share(costliest, ready, begun, others.slots);
        room.trials
    } else {
        share::share(&costliest, trials, work, others.slots).min(room.trials)
    };
    let room = Room {
        trials: most_trials,
        ..room
    };
    let wanted = share::fitting(&costliest, room).len();
    let fits = |candidate: &&Candidate| room.most || candidate.memory <= room.memory;
    let ids = costliest
        .iter()
        .filter(fits)
        .map(|candidate| candidate.trial);
    // No more than wanted are locked: others who claim now pass over those, and find the next.
    let locked = sqlx::query::<Db>(COSTLIEST)
        .bind(row::list(&ids.collect::<Vec<_>>()))
        .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
    Ok(share::fitting(&candidates(&locked)?, room))
}

/// What a session took a moment ago.
async fn begun(conn: &mut Conn, ask: &Ask, now: Timestamp) -> Result<Work, StoreError> {
    let found = sqlx::query::<Db>(BEGUN)
        .bind(ask.session.to_string())
        .bind(now.plus_ms(-share::MOMENT_MS).0)
        .fetch_one(conn)
        .await?;
    Ok(Work {
        trials: row::unsigned(&found, "trials")?,
        cost: row::real(&found, "cost")?,
    })
}

/// The workers at hand that a class fits.
struct Workers {
    workers: u64,
    /// All their slots.
    slots: u64,
    /// The most that one has, in bytes.
    memory: u64,
}

async fn workers(conn: &mut Conn, class: i64) -> Result<Workers, StoreError> {
    let found = sqlx::query::<Db>(SLOTS).bind(class).fetch_one(conn).await?;
    Ok(Workers {
        workers: row::unsigned(&found, "workers")?,
        slots: row::unsigned(&found, "slots")?,
        memory: row::unsigned(&found, "memory")?,
    })
}

/// The most urgent of a class; only those that there is room for, unless one must be told that it is too large for everybody.
async fn first(conn: &mut Conn, picked: &Picked, room: Room) -> Result<Vec<Candidate>, StoreError> {
    let first = sqlx::query::<Db>(FIRST)
        .bind(picked.class)
        .bind(i64::from(room.trials))
        .bind(if room.most {
            i64::MAX
        } else {
            row::signed(room.memory)
        })
        .fetch_all(conn)
        .await?;
    candidates(&first)
}

fn candidates(rows: &[Row]) -> Result<Vec<Candidate>, StoreError> {
    let candidate = |found| {
        Ok(Candidate {
            trial: row::int(found, "id")?,
            priority: row::int(found, "priority")?,
            cost: row::real(found, "cost")?,
            memory: row::unsigned(found, "memory")?,
        })
    };
    rows.iter().map(candidate).collect()
}
