//! Data: what is embedded, what readers refuse, what is drawn.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use descent_spec::trial::{DataSpec, Inputs, Labels, NoiseKind};
use descent_training::data::{
    DataError, DataStore, Dataset, Noise, Prepared, Samples, prepare, read_folder,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

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

/// Four small files that are in order: five training and two test images of 2 × 3 pixels in three classes.
fn sound() -> [Vec<u8>; 4] {
    let pixels: Vec<u8> = (0..30).collect();
    [
        idx(&[2051, 5, 2, 3], &pixels),
        idx(&[2049, 5], &[0, 1, 2, 1, 0]),
        idx(&[2051, 2, 2, 3], &pixels[3..15]),
        idx(&[2049, 2], &[2, 0]),
    ]
}

fn folder_of(files: &[Vec<u8>; 4]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in FILES.iter().zip(files) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Checks that a folder with one file changed is refused with these words, and that the message names the file.
#[track_caller]
fn check_refused(file: usize, bytes: Vec<u8>, words: &str) {
    let mut files = sound();
    files[file] = bytes;
    let folder = folder_of(&files);
    let message = read_folder(folder.path()).unwrap_err().to_string();
    assert!(message.contains(words), "{message}");
    assert!(
        message.contains(&folder.path().join(FILES[file]).display().to_string()),
        "{message}"
    );
}

#[test]
fn embedded_data_is_what_its_name_promises() {
    let store = DataStore::new(Vec::new());
    let known = store.describe("mnist-4k").unwrap();
    assert_eq!(
        known.hash.to_string(),
        "3e0888ab72e535a7b224681e11e5c3a509343c98fc9d638c4ed31fdc8322d3c9"
    );
    let dataset = store.load(known.hash).unwrap();
    assert_eq!(dataset.describe(), known);
    let count = |samples: &Samples| {
        let mut classes = [0; 10];
        samples
            .labels
            .iter()
            .for_each(|&label| classes[usize::from(label)] += 1);
        classes
    };
    // All 10,000 test digits, as counted by many before; the training digits in like shares.
    assert_eq!(
        count(&dataset.test),
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    );
    assert_eq!(
        count(&dataset.train),
        [397, 474, 402, 398, 385, 382, 367, 409, 404, 382]
    );
    // MNIST's mean pixel is 0.1307.
    let mean = dataset
        .train
        .pixels
        .iter()
        .map(|&pixel| f64::from(pixel))
        .sum::<f64>()
        / 255.0
        / (4_000.0 * 784.0);
    assert!((mean - 0.1307).abs() < 0.002, "{mean}");
}

#[test]
fn the_synthetic_set_never_changes() {
    let store = DataStore::new(Vec::new());
    let known = store.describe("gaussians").unwrap();
    assert_eq!(
        known.hash.to_string(),
        "a18ec4e61c36da48c15b90acb03d773d2a4c9b55f6452f2885486e7bf2dfb6a0"
    );
    assert_eq!(store.load(known.hash).unwrap().describe(), known);
}

#[test]
fn plain_and_gzipped_files_are_the_same_data() {
    let plain = read_folder(folder_of(&sound()).path()).unwrap();
    assert_eq!(
        (
            plain.inputs,
            plain.outputs,
            plain.train.len(),
            plain.test.len()
        ),
        (6, 3, 5, 2)
    );
    assert_eq!(plain.train.pixels, (0..30).collect::<Vec<u8>>());
    assert_eq!(plain.test.labels, [2, 0]);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in FILES.iter().zip(sound()) {
        fs::write(folder.path().join(format!("{name}.gz")), gzipped(&bytes)).unwrap();
    }
    let compressed = read_folder(folder.path()).unwrap();
    assert_eq!(compressed, plain);
    assert_eq!(compressed.hash(), plain.hash());
}

#[test]
fn every_byte_of_the_content_is_in_its_hash() {
    let plain = read_folder(folder_of(&sound()).path()).unwrap();
    let changes: [fn(&mut Dataset); 5] = [
        |data| data.train.pixels[7] += 1,
        |data| data.train.labels[0] = 2,
        |data| data.test.pixels[0] += 1,
        |data| data.outputs += 1,
        |data| (data.inputs, data.train.labels, data.test.labels) = (3, vec![0; 10], vec![0; 4]),
    ];
    let mut hashes = BTreeSet::from([plain.hash()]);
    for change in changes {
        let mut changed = plain.clone();
        change(&mut changed);
        hashes.insert(changed.hash());
    }
    assert_eq!(hashes.len(), 6);
}

#[test]
fn damaged_files_are_refused_by_name() {
    let [images, labels, ..] = sound();
    check_refused(0, images[..40].to_vec(), "only 24 bytes follow");
    check_refused(0, [&images[..], &[0]].concat(), "more bytes follow");
    check_refused(0, images[..9].to_vec(), "ends too early");
    check_refused(0, Vec::new(), "ends too early");
    check_refused(
        0,
        labels.clone(),
        "is not an image file (IDX magic 2051): it starts with 2049",
    );
    check_refused(
        1,
        images.clone(),
        "is not a label file (IDX magic 2049): it starts with 2051",
    );
    check_refused(1, idx(&[2049, 4], &[0, 1, 2, 1]), "has 4 labels");
    check_refused(1, idx(&[2049, 5], &[0; 5]), "only the label 0");
    check_refused(
        2,
        idx(&[2051, 2, 2, 2], &[0; 8]),
        "has images of 2 × 2 pixels, but the training images have 2 × 3",
    );
    check_refused(
        3,
        idx(&[2049, 2], &[0, 3]),
        "label 1 is 3, but the training labels have only 3 classes",
    );
    check_refused(2, idx(&[2051, 0, 2, 3], &[]), "has 0 images");
    let compressed = gzipped(&images);
    check_refused(
        0,
        compressed[..compressed.len() - 12].to_vec(),
        "ends too early",
    );
    let mut flipped = compressed;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    check_refused(0, flipped, "damaged gzip");
}

#[test]
fn a_claimed_size_is_not_believed() {
    let [images, ..] = sound();
    check_refused(
        0,
        idx(&[2051, u32::MAX, u32::MAX, u32::MAX], &images),
        "claims 4294967295 images",
    );
    check_refused(
        0,
        idx(&[2051, 1_000_000, 28, 28], &images),
        "only 46 bytes follow",
    );
    check_refused(
        1,
        gzipped(&idx(&[2049, 1 << 30], &[1, 2])),
        "only 2 bytes follow",
    );
    check_refused(
        1,
        idx(&[2049, u32::MAX], &[]),
        "more than the 1073741824 bytes",
    );
}

#[test]
fn a_folder_without_data_says_what_belongs_there() {
    let folder = tempfile::tempdir().unwrap();
    let message = read_folder(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("holds no data set") && message.contains("data_batch_1.bin"),
        "{message}"
    );
    fs::write(folder.path().join(FILES[0]), &sound()[0]).unwrap();
    let message = read_folder(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("lacks train-labels-idx1-ubyte"),
        "{message}"
    );
}

fn write_cifar(folder: &Path, change: impl Fn(&str, &mut Vec<u8>)) {
    for (batch, name) in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ]
    .iter()
    .enumerate()
    {
        let record = |label: usize| [vec![u8::try_from(label).unwrap()], vec![7; 3072]].concat();
        let mut bytes = [record(batch), record(9)].concat();
        change(name, &mut bytes);
        fs::write(folder.join(format!("{name}.bin")), bytes).unwrap();
    }
}

#[test]
fn cifar_files_are_read_in_order_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar(folder.path(), |_, _| {});
    let data = read_folder(folder.path()).unwrap();
    assert_eq!((data.inputs, data.outputs), (3072, 10));
    assert_eq!(data.train.labels, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
    assert_eq!(data.test.labels, [5, 9]);
    assert!(data.train.pixels.iter().all(|&pixel| pixel == 7));

    let refused = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let only_third = |name: &str, bytes: &mut Vec<u8>| {
            if name == "data_batch_3" {
                change(bytes);
            }
        };
        write_cifar(folder.path(), only_third);
        let message = read_folder(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains("data_batch_3.bin"),
            "{message}"
        );
    };
    refused(
        &|bytes| bytes.truncate(4000),
        "no whole number of 3073-byte records",
    );
    refused(&Vec::clear, "0 bytes");
    refused(&|bytes| bytes[3073] = 10, "record 1 has the label 10");
    fs::remove_file(folder.path().join("data_batch_3.bin")).unwrap();
    assert!(
        read_folder(folder.path())
            .unwrap_err()
            .to_string()
            .contains("lacks data_batch_3.bin")
    );
}

#[test]
fn names_and_paths_are_found_and_strangers_are_not() {
    let root = tempfile::tempdir().unwrap();
    fs::rename(folder_of(&sound()).keep(), root.path().join("tiny")).unwrap();
    let store = DataStore::new(vec![root.path().to_owned()]);
    let known = store.describe("tiny").unwrap();
    assert_eq!(
        (
            known.inputs,
            known.outputs,
            known.train_samples,
            known.test_samples
        ),
        (6, 3, 5, 2)
    );
    let path = root.path().join("tiny");
    assert_eq!(store.describe(path.to_str().unwrap()).unwrap(), known);
    assert!(store.hashes().contains(&known.hash) && store.hashes().len() == 3);
    assert_eq!(store.load(known.hash).unwrap().describe(), known);
    // A data folder can be the data set itself; a path described before is remembered.
    assert_eq!(
        DataStore::new(vec![path.clone()])
            .load(known.hash)
            .unwrap()
            .hash(),
        known.hash
    );
    let bare = DataStore::new(Vec::new());
    assert!(matches!(
        bare.load(known.hash),
        Err(DataError::Missing { .. })
    ));
    bare.describe(path.to_str().unwrap()).unwrap();
    bare.load(known.hash).unwrap();
    for stranger in ["mnist", "./tiny-but-not-there", "../"] {
        let message = bare.describe(stranger).unwrap_err().to_string();
        assert!(message.contains(stranger), "{message}");
    }
    let message = store.describe("mnist").unwrap_err().to_string();
    assert!(
        message.contains("descent data fetch") && message.contains(&*root.path().to_string_lossy()),
        "{message}"
    );
}

#[test]
fn replaced_files_are_noticed() {
    let folder = folder_of(&sound());
    let store = DataStore::new(vec![folder.path().to_owned()]);
    let name = folder.path().to_str().unwrap();
    let before = store.describe(name).unwrap();
    // Another length, so that the test does not hang on the resolution of the file system's clock.
    fs::write(folder.path().join(FILES[2]), idx(&[2051, 1, 2, 3], &[0; 6])).unwrap();
    fs::write(folder.path().join(FILES[3]), idx(&[2049, 1], &[1])).unwrap();
    let after = store.describe(name).unwrap();
    assert_ne!(before.hash, after.hash);
    assert!(matches!(
        store.load(before.hash),
        Err(DataError::Missing { .. })
    ));
    assert_eq!(store.load(after.hash).unwrap().test.len(), 1);
}

fn spec(samples: u32, validation: u32, label_noise: f64, seed: u64) -> DataSpec {
    DataSpec {
        dataset: "gaussians".to_owned(),
        samples: Some(samples),
        validation,
        test_samples: Some(50),
        centre: false,
        inputs: Inputs::True,
        labels: Labels::True,
        label_noise,
        noise_kind: NoiseKind::Other,
        seed,
    }
}

fn gaussians() -> std::sync::Arc<Dataset> {
    let store = DataStore::new(Vec::new());
    store
        .load(store.describe("gaussians").unwrap().hash)
        .unwrap()
}

#[test]
fn smaller_draws_are_parts_of_larger_ones() {
    let data = gaussians();
    let large = prepare(&data, &spec(400, 100, 0.0, 3)).unwrap();
    let small = prepare(&data, &spec(90, 0, 0.0, 3)).unwrap();
    assert_eq!(small.train_x, large.train_x[..90 * 20]);
    assert_eq!(small.train_y, large.train_y[..90]);
    let other_size = prepare(&data, &spec(90, 100, 0.0, 3)).unwrap();
    assert_eq!(other_size.validation_x, large.validation_x);
    assert_eq!(
        (
            large.validation_y.len(),
            large.test_y.len(),
            small.validation_x.len()
        ),
        (100, 50, 0)
    );
    let other_seed = prepare(&data, &spec(90, 0, 0.0, 4)).unwrap();
    assert_ne!(other_seed.train_x, small.train_x);
    assert_eq!(other_seed.test_x, small.test_x);
}

#[test]
fn no_sample_is_drawn_twice() {
    let data = gaussians();
    let all = DataSpec {
        samples: None,
        ..spec(0, 500, 0.0, 1)
    };
    let prepared = prepare(&data, &all).unwrap();
    assert_eq!(prepared.train_y.len(), 1_500);
    let mut rows: Vec<Vec<u8>> = [&prepared.train_x, &prepared.validation_x]
        .iter()
        .flat_map(|x| {
            x.chunks(20).map(|row| {
                row.iter()
                    .map(|value| (value * 255.0).round() as u8)
                    .collect()
            })
        })
        .collect();
    let mut wanted: Vec<Vec<u8>> = data.train.pixels.chunks(20).map(<[u8]>::to_vec).collect();
    rows.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(rows, wanted);
}

/// The labels of samples with a share of noise of one kind.
fn noisy(prepared: &Prepared, kind: NoiseKind, share: f64) -> Vec<u8> {
    prepared.labels(&Noise {
        labels: Labels::True,
        kind,
        share,
    })
}

#[test]
fn noise_is_exact_nested_and_uniform_over_the_other_classes() {
    let prepared = prepare(&gaussians(), &spec(1_999, 0, 0.0, 5)).unwrap();
    let clean = noisy(&prepared, NoiseKind::Other, 0.0);
    assert_eq!(prepared.train_y, clean);
    let changed = |noise: f64| -> Vec<(usize, u8)> {
        let noisy = noisy(&prepared, NoiseKind::Other, noise);
        (0..1_999)
            .filter(|&index| noisy[index] != clean[index])
            .map(|index| (index, noisy[index]))
            .collect()
    };
    assert_eq!(changed(0.1).len(), 200);
    assert_eq!(changed(0.25).len(), 500);
    let (few, many): (BTreeSet<_>, BTreeSet<_>) = (
        changed(0.1).into_iter().collect(),
        changed(0.2).into_iter().collect(),
    );
    assert!(few.is_subset(&many));
    // Each of the nine steps from the true class to the wrong one has 1999 / 9 = 222 ± 14 of them.
    let mut steps = [0; 10];
    changed(1.0).iter().for_each(|&(index, class)| {
        steps[(usize::from(class) + 10 - usize::from(clean[index])) % 10] += 1;
    });
    assert_eq!(steps[0], 0);
    assert!(
        steps[1..].iter().all(|count| (160..290).contains(count)),
        "{steps:?}"
    );
    assert_eq!(
        prepare(&gaussians(), &spec(1_999, 0, 0.25, 5))
            .unwrap()
            .train_y,
        noisy(&prepared, NoiseKind::Other, 0.25)
    );
}

#[test]
fn uniform_noise_is_nested_and_may_keep_a_label() {
    let prepared = prepare(&gaussians(), &spec(1_999, 0, 0.0, 5)).unwrap();
    let with = |share: f64| noisy(&prepared, NoiseKind::Uniform, share);
    let clean = with(0.0);
    assert_eq!(clean, prepared.train_y);
    let changed = |share: f64| -> BTreeSet<(usize, u8)> {
        let labels = with(share).into_iter().enumerate();
        labels
            .filter(|&(index, label)| label != clean[index])
            .collect()
    };
    // A tenth of the labels that are drawn anew come out as they were: 1999 · 0.4 · 0.9 = 720 ± 21 change.
    assert!((640..800).contains(&changed(0.4).len()));
    assert!(changed(0.1).is_subset(&changed(0.4)));
    let mut classes = [0; 10];
    with(1.0)
        .iter()
        .for_each(|&label| classes[usize::from(label)] += 1);
    assert!(
        classes.iter().all(|count| (140..260).contains(count)),
        "{classes:?}"
    );
    // The labels are not those of the other kind, nor of random labels.
    assert_ne!(with(1.0), noisy(&prepared, NoiseKind::Other, 1.0));
}

/// Digits with these inputs, not centred.
fn digits(inputs: Inputs, samples: u32, seed: u64) -> Prepared {
    let store = DataStore::new(Vec::new());
    let known = store.describe("mnist-4k").unwrap();
    let asked = DataSpec {
        dataset: "mnist-4k".to_owned(),
        inputs,
        ..spec(samples, 20, 0.0, seed)
    };
    prepare(&store.load(known.hash).unwrap(), &asked).unwrap()
}

fn sorted(row: &[f32]) -> Vec<f32> {
    let mut row = row.to_vec();
    row.sort_unstable_by(f32::total_cmp);
    row
}

#[test]
fn shuffled_pixels_are_one_order_for_all() {
    let plain = digits(Inputs::True, 60, 3);
    let shuffled = digits(Inputs::Shuffled, 60, 3);
    // Where each place's pixel comes from, told from the training samples, holds for the others too.
    let column = |x: &[f32], input: usize| -> Vec<u32> {
        x.iter()
            .skip(input)
            .step_by(784)
            .map(|value| value.to_bits())
            .collect()
    };
    let mut found = 0;
    for to in 0..784 {
        let wanted = column(&shuffled.train_x, to);
        let candidates: Vec<usize> = (0..784)
            .filter(|&from| column(&plain.train_x, from) == wanted)
            .collect();
        assert!(!candidates.is_empty());
        if let [from] = candidates[..] {
            found += usize::from(from != to);
            for (before, after) in [
                (&plain.validation_x, &shuffled.validation_x),
                (&plain.test_x, &shuffled.test_x),
            ] {
                assert_eq!(column(before, from), column(after, to));
            }
        }
    }
    assert!(found > 300, "{found}");
    assert_eq!(shuffled.train_y, plain.train_y);
    assert_ne!(digits(Inputs::Shuffled, 60, 4).test_x, shuffled.test_x);
}

#[test]
fn random_pixels_are_an_order_for_each() {
    let plain = digits(Inputs::True, 60, 3);
    let random = digits(Inputs::RandomPixels, 60, 3);
    for (before, after) in [
        (&plain.train_x, &random.train_x),
        (&plain.validation_x, &random.validation_x),
        (&plain.test_x, &random.test_x),
    ] {
        for (before, after) in before.chunks(784).zip(after.chunks(784)) {
            assert_ne!(before, after);
            assert_eq!(sorted(before), sorted(after));
        }
    }
    // Samples keep their images whatever else is drawn beside them.
    let few = digits(Inputs::RandomPixels, 10, 3);
    assert_eq!(few.train_x, random.train_x[..7_840]);
}

#[test]
fn gaussian_inputs_have_the_images_mean_and_variance() {
    let plain = digits(Inputs::True, 400, 3);
    let gaussian = digits(Inputs::Gaussian, 400, 3);
    let moments = |x: &[f32]| {
        let count = x.len() as f64;
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let spread = x.iter().map(|&x| (f64::from(x) - mean).powi(2));
        (mean, (spread.sum::<f64>() / count).sqrt())
    };
    let (mean, sd) = moments(&plain.train_x);
    // 313,600 numbers: the mean's own deviation is sd / 560.
    for x in [&gaussian.train_x, &gaussian.test_x] {
        let (found_mean, found_sd) = moments(x);
        assert!((found_mean - mean).abs() < 0.01, "{found_mean} {mean}");
        assert!((found_sd - sd).abs() < 0.01, "{found_sd} {sd}");
    }
    assert_ne!(gaussian.train_x[..784], gaussian.test_x[..784]);
    assert_eq!(gaussian.test_y, plain.test_y);
    assert_eq!(digits(Inputs::Gaussian, 400, 3), gaussian);
}

#[test]
fn centring_subtracts_the_training_mean_everywhere() {
    let data = gaussians();
    let plain = prepare(&data, &spec(300, 40, 0.0, 2)).unwrap();
    let centred = prepare(
        &data,
        &DataSpec {
            centre: true,
            ..spec(300, 40, 0.0, 2)
        },
    )
    .unwrap();
    for input in 0..20 {
        let column = |x: &[f32]| {
            x.iter()
                .skip(input)
                .step_by(20)
                .map(|&value| f64::from(value))
                .collect::<Vec<_>>()
        };
        let mean = column(&plain.train_x).iter().sum::<f64>() / 300.0;
        for (left, right) in [
            (&plain.train_x, &centred.train_x),
            (&plain.validation_x, &centred.validation_x),
            (&plain.test_x, &centred.test_x),
        ] {
            assert!(
                column(left)
                    .iter()
                    .zip(column(right))
                    .all(|(left, right)| (left - mean - right).abs() < 1e-6)
            );
        }
    }
}

#[test]
fn more_than_there_is_cannot_be_drawn() {
    let data = gaussians();
    for (asked, words) in [
        (spec(2_001, 0, 0.0, 0), "2001 training samples"),
        (
            spec(1_500, 501, 0.0, 0),
            "1500 training samples are asked for, but there are 1499",
        ),
        (spec(1, 2_001, 0.0, 0), "2001 validation samples"),
        (
            DataSpec {
                test_samples: Some(1_001),
                ..spec(1, 0, 0.0, 0)
            },
            "1001 test samples",
        ),
        (
            DataSpec {
                samples: None,
                ..spec(0, 2_000, 0.0, 0)
            },
            "no training samples are left",
        ),
    ] {
        let message = prepare(&data, &asked).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}
