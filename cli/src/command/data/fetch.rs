//! `descent data fetch`: public data sets from their mirrors, checked before they are kept.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::Context;
use descent_training::data::known::{Download, DownloadKind, KNOWN, Known, find};
use descent_training::data::read_folder;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::archive;
use crate::exit::{Exit, Failed};
use crate::output::note;

/// A mirror that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// No file that is fetched is larger: a mirror that sends without end must not fill the disk.
const MAX_BYTES: u64 = 1 << 30;

/// Fetches what is not here yet.
pub(super) fn run(folder: &Path, names: &[String], mirrors: &[String]) -> anyhow::Result<Exit> {
    let known: Vec<&Known> = names
        .iter()
        .map(|name| {
            find(name).ok_or_else(|| {
                Failed::usage(format!(
                    "`{name}` cannot be fetched: there are {}",
                    offered()
                ))
            })
        })
        .collect::<anyhow::Result<_>>()?;
    for known in known {
        fetch(known, folder, mirrors)?;
    }
    Ok(Exit::Success)
}

fn offered() -> String {
    KNOWN.each_ref().map(|known| known.name).join(", ")
}

/// Brings one data set into `root`, in a folder of its name. Files that are there and right are kept.
fn fetch(known: &Known, root: &Path, mirrors: &[String]) -> anyhow::Result<()> {
    let folder = root.join(known.name);
    if known.content.is_some() && read_folder(&folder).ok().map(|data| data.hash()) == known.content
    {
        note(&format!("{}: already in {}", known.name, folder.display()));
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mirrors: Vec<String> = if mirrors.is_empty() {
        known
            .mirrors
            .iter()
            .map(|&mirror| mirror.to_owned())
            .collect()
    } else {
        mirrors
            .iter()
            .map(|mirror| format!("{}/", mirror.trim_end_matches('/')))
            .collect()
    };
    for file in known.files {
        fetch_file(file, &folder, &mirrors)?;
    }
    let data = read_folder(&folder).context("the files arrived whole, but do not fit together")?;
    if known.content.is_some_and(|content| content != data.hash()) {
        return Err(Failed::usage(format!(
            "{}: holds other files too, which hide those that were fetched; remove this folder and fetch again",
            folder.display()
        )));
    }
    note(&format!(
        "{}: {} training and {} test samples in {} ({})",
        known.name,
        data.train.len(),
        data.test.len(),
        folder.display(),
        known.licence
    ));
    Ok(())
}

/// Brings one file: asks one mirror after the other until one sends the right bytes.
fn fetch_file(file: &Download, folder: &Path, mirrors: &[String]) -> anyhow::Result<()> {
    let target = folder.join(file.name);
    if file.kind == DownloadKind::Plain && sha256(&target).is_ok_and(|found| found == file.sha256) {
        return Ok(());
    }
    let mut failures = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.name);
        let part = Part::new(folder, file.name);
        match download(&url, &part, file.sha256) {
            Ok(()) => return keep(&part, file, folder, &target),
            Err(Refused::Mirror(why)) => failures.push(format!("{url}: {why}")),
            // Another mirror does not help when the file cannot be written.
            Err(Refused::Disk(error)) => {
                return Err(
                    anyhow::Error::new(error).context(format!("write {}", part.path.display()))
                );
            }
        }
        note(failures.last().expect("just pushed"));
    }
    Err(Failed::unreachable(format!(
        "no mirror has {}: {}. Name another with --mirror, or bring the files yourself: `descent data import`",
        file.name,
        failures.join("; ")
    )))
}

/// Moves a checked file to its place, or what is in it.
fn keep(part: &Part, file: &Download, folder: &Path, target: &Path) -> anyhow::Result<()> {
    match file.kind {
        DownloadKind::Plain => fs::rename(&part.path, target),
        DownloadKind::TarGz => archive::unpack(&part.path, folder),
    }
    .with_context(|| format!("keep {}", target.display()))
}

/// Why a download is not what was wanted.
enum Refused {
    /// The mirror's fault: the next may do better.
    Mirror(String),
    /// This machine's.
    Disk(io::Error),
}

/// A file being written; gone when it goes out of scope without having been renamed.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(folder: &Path, name: &str) -> Self {
        // With the process's number: two of these at once must not write into one file.
        Self {
            path: folder.join(format!(".{name}.{}.part", process::id())),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed away when all went well: then there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Streams `url` into `part`, and compares its sum.
fn download(url: &str, part: &Part, wanted: &str) -> Result<(), Refused> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("descent/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mirror = |why: &dyn std::fmt::Display| Refused::Mirror(why.to_string());
    let mut response = agent.get(url).call().map_err(|error| mirror(&error))?;
    let length = response.body().content_length();
    let progress = bar(url, length);
    let mut body = response.body_mut().as_reader().take(MAX_BYTES + 1);
    let mut file = File::create(&part.path).map_err(Refused::Disk)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let read = body
            .read(&mut buffer)
            .map_err(|error| mirror(&format!("broke off after {received} bytes: {error}")))?;
        if read == 0 {
            break;
        }
        received += read as u64;
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(Refused::Disk)?;
        progress.set_position(received);
    }
    progress.finish_and_clear();
    if length.is_some_and(|length| length != received) {
        return Err(mirror(&format!("broke off after {received} bytes")));
    }
    let found = hex(&hasher.finalize());
    if found != wanted {
        return Err(mirror(&format!(
            "sent another file: its SHA-256 is {found}, not {wanted}"
        )));
    }
    file.sync_all().map_err(Refused::Disk)
}

/// A bar on stderr; nothing where stderr is no terminal.
fn bar(url: &str, length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(url.to_owned());
    bar
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
