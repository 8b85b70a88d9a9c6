//! Fetching, against a mirror on this machine.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// What the mirror answers for a path.
#[derive(Clone)]
enum Answer {
    /// All of it.
    Whole(Vec<u8>),
    /// Half of what was announced.
    Cut(Vec<u8>),
}

/// A mirror with these files; everything else is 404. It ends with the process. Returns its address.
fn mirror(files: impl IntoIterator<Item = (&'static str, Answer)>) -> String {
    let files: BTreeMap<String, Answer> = files
        .into_iter()
        .map(|(name, answer)| (format!("/{name}"), answer))
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            lines
                .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
                .for_each(drop);
            let (status, length, body) = match files.get(request.split(' ').nth(1).unwrap()) {
                Some(Answer::Whole(bytes)) => ("200 OK", bytes.len(), &bytes[..]),
                Some(Answer::Cut(bytes)) => ("200 OK", bytes.len(), &bytes[..bytes.len() / 2]),
                None => ("404 Not Found", 0, &[][..]),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // The other side may have gone away; that is its business.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        }
    });
    format!("http://{address}")
}

fn idx(header: &[u32], body: &[u8]) -> Vec<u8> {
    header
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .chain(body.iter().copied())
        .collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A small data set: its files by name.
fn files() -> [(&'static str, Vec<u8>); 4] {
    [
        (
            "train-images-idx3-ubyte.gz",
            gzipped(&idx(&[2051, 2, 1, 3], &[1, 2, 3, 4, 5, 6])),
        ),
        (
            "train-labels-idx1-ubyte.gz",
            gzipped(&idx(&[2049, 2], &[0, 1])),
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            gzipped(&idx(&[2051, 1, 1, 3], &[7, 8, 9])),
        ),
        ("t10k-labels-idx1-ubyte.gz", gzipped(&idx(&[2049, 1], &[1]))),
    ]
}

/// A description of some files, as if they were public.
fn known(files: &[(&'static str, Vec<u8>)], kind: DownloadKind) -> Known {
    let downloads: Vec<Download> = files
        .iter()
        .map(|(name, bytes)| Download {
            name,
            sha256: hex(&Sha256::digest(bytes)).leak(),
            kind,
        })
        .collect();
    Known {
        name: "small",
        about: "",
        licence: "",
        mirrors: &[],
        files: downloads.leak(),
        content: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn whole_files_are_kept_and_not_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let known = known(&files(), DownloadKind::Plain);
    let url = mirror(files().map(|(name, bytes)| (name, Answer::Whole(bytes))));
    // With and without the slash at the end.
    fetch(&known, root.path(), &[format!("{url}/")]).unwrap();
    let folder = root.path().join("small");
    assert_eq!(
        names(&folder),
        [
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz"
        ]
    );
    assert_eq!(read_folder(&folder).unwrap().train.labels, [0, 1]);
    // Nothing but 404 there now: what is here must suffice.
    fetch(&known, root.path(), &[mirror([])]).unwrap();
    // A file that was damaged since is fetched again.
    fs::write(folder.join("t10k-labels-idx1-ubyte.gz"), b"damaged").unwrap();
    fetch(&known, root.path(), &[url]).unwrap();
    assert_eq!(read_folder(&folder).unwrap().test.labels, [1]);
}

#[test]
fn what_is_wrong_is_named_and_never_kept() {
    for (answer, words) in [
        (
            Some(Answer::Whole(b"something else".to_vec())),
            "sent another file: its SHA-256 is",
        ),
        (Some(Answer::Cut(files()[0].1.clone())), "broke off after"),
        (None, "404"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let known = known(&files(), DownloadKind::Plain);
        let url = mirror(answer.map(|answer| ("train-images-idx3-ubyte.gz", answer)));
        let error = fetch(&known, root.path(), std::slice::from_ref(&url)).unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains(words) && message.contains(&url) && message.contains("--mirror"),
            "{message}"
        );
        assert_eq!(
            error.downcast_ref::<Failed>().unwrap().exit,
            Exit::Unreachable
        );
        assert!(names(&root.path().join("small")).is_empty());
    }
}

#[test]
fn the_next_mirror_is_asked_when_one_fails() {
    let root = tempfile::tempdir().unwrap();
    let known = known(&files(), DownloadKind::Plain);
    let closed = {
        // Bound and dropped: nobody listens there any more.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let wrong = mirror([(
        "train-images-idx3-ubyte.gz",
        Answer::Whole(b"something else".to_vec()),
    )]);
    let right = mirror(files().map(|(name, bytes)| (name, Answer::Whole(bytes))));
    fetch(&known, root.path(), &[closed, wrong, right]).unwrap();
    assert_eq!(
        read_folder(&root.path().join("small")).unwrap().train.len(),
        2
    );
}

#[test]
fn older_files_that_hide_the_fetched_ones_are_noticed() {
    let root = tempfile::tempdir().unwrap();
    let url = mirror(files().map(|(name, bytes)| (name, Answer::Whole(bytes))));
    let mut known = known(&files(), DownloadKind::Plain);
    fetch(&known, root.path(), std::slice::from_ref(&url)).unwrap();
    let folder = root.path().join("small");
    known.content = Some(read_folder(&folder).unwrap().hash());
    // A plain file is taken before a compressed one.
    fs::write(folder.join("t10k-labels-idx1-ubyte"), idx(&[2049, 1], &[0])).unwrap();
    let message = fetch(&known, root.path(), &[url]).unwrap_err().to_string();
    assert!(message.contains("hide"), "{message}");
    // Whole and right: no mirror is asked at all.
    fs::remove_file(folder.join("t10k-labels-idx1-ubyte")).unwrap();
    fetch(&known, root.path(), &[]).unwrap();
}

/// One entry of a tar archive.
fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[156] = kind;
    let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
    [&header[..], bytes, &padding].concat()
}

#[test]
fn an_archive_is_unpacked_into_the_folder_and_nowhere_else() {
    let record = |label: u8| [vec![label], vec![label; 3072]].concat();
    let mut tar = entry("cifar-10-batches-bin/", b'5', b"");
    tar.extend(entry("cifar-10-batches-bin/readme.html", b'0', b"<html>"));
    for batch in 1..=5 {
        tar.extend(entry(
            &format!("cifar-10-batches-bin/data_batch_{batch}.bin"),
            b'0',
            &record(batch),
        ));
    }
    tar.extend(entry("../../test_batch.bin", b'0', &record(7)));
    tar.extend([0; 1024]);
    let archive = [("cifar-10-binary.tar.gz", gzipped(&tar))];
    let root = tempfile::tempdir().unwrap();
    let url = mirror(
        archive
            .clone()
            .map(|(name, bytes)| (name, Answer::Whole(bytes))),
    );
    fetch(&known(&archive, DownloadKind::TarGz), root.path(), &[url]).unwrap();
    let folder = root.path().join("small");
    assert_eq!(names(&folder).len(), 6);
    assert_eq!(names(root.path()), ["small"]);
    let data = read_folder(&folder).unwrap();
    assert_eq!(
        (data.train.labels, data.test.labels),
        (vec![1, 2, 3, 4, 5], vec![7])
    );
}

#[test]
fn names_that_nobody_offers_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let error = run(root.path(), &["imagenet".to_owned()], &[]).unwrap_err();
    assert!(error.to_string().contains("mnist, fashion-mnist, cifar10"));
    assert!(names(root.path()).is_empty());
}
