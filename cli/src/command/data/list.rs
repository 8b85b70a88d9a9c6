//! `descent data list`.

use std::path::Path;

use descent_spec::data::Image;
use descent_training::data::{DataStore, Listed};

use crate::exit::Exit;
use crate::global::Format;
use crate::output::{self, Cell, Form, Rows};

/// Prints what is here, and what could be.
pub(super) fn run(folder: &Path, format: Format) -> anyhow::Result<Exit> {
    let store = DataStore::new(vec![folder.to_owned()]);
    output::print(&rows(store.list()), format)?;
    output::note(&format!("data folder: {}", folder.display()));
    Ok(Exit::Success)
}

fn rows(listed: Vec<Listed>) -> Rows {
    let mut rows = Rows::new([
        ("dataset", Form::Text),
        ("state", Form::Text),
        ("inputs", Form::Count),
        ("image", Form::Text),
        ("outputs", Form::Count),
        ("train_samples", Form::Count),
        ("test_samples", Form::Count),
        ("about", Form::Text),
        ("licence", Form::Text),
        ("content", Form::Text),
    ]);
    for listed in listed {
        let state = match (&listed.data, &listed.folder, listed.genuine) {
            (None, ..) => format!("not here: `descent data fetch {}`", listed.name),
            (Some(Err(error)), ..) => format!("unusable: {error}"),
            (Some(Ok(_)), None, _) => "in the binary".to_owned(),
            (Some(Ok(_)), Some(_), Some(false)) => {
                "here, but not the public data set of this name".to_owned()
            }
            (Some(Ok(_)), Some(_), _) => "here".to_owned(),
        };
        let data = listed.data.and_then(Result::ok);
        let count = |number: Option<u32>| Cell::from(number.map(i64::from));
        rows.push([
            Cell::Text(listed.name),
            Cell::Text(state),
            count(data.map(|data| data.inputs)),
            Cell::from(data.and_then(|data| data.image).map(extent)),
            count(data.map(|data| data.outputs)),
            count(data.map(|data| data.train_samples)),
            count(data.map(|data| data.test_samples)),
            Cell::Text(listed.about.to_owned()),
            Cell::Text(listed.licence.to_owned()),
            Cell::from(data.map(|data| data.hash.to_string())),
        ]);
    }
    rows
}

/// As `--known-data` takes it.
fn extent(image: Image) -> String {
    format!("{}x{}x{}", image.channels, image.height, image.width)
}
