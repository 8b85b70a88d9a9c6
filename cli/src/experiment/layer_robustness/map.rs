//! Heat maps: layers against the epochs that they are set back to.

use super::{Change, Group, Row, groups};
use crate::experiment::Picture;
use crate::figure::{HeatMap, HeatMaps};
use crate::output::Rows;

pub(super) fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let groups = groups(answers);
    let seeds = groups.iter().map(|group| group.seeds).max().unwrap_or(0);
    let maps = HeatMaps {
        title: title.to_owned(),
        aside: format!(
            "test error with one layer changed, the others as trained; mean of {seeds} seeds; layer 0 is at the inputs"
        ),
        value: "test error".to_owned(),
        maps: groups.iter().flat_map(maps).collect(),
    };
    Ok(Picture {
        figure: maps.draw()?,
        numbers: answers[0].clone(),
    })
}

/// The maps of one network: layers against checkpoints; where several epochs count as trained, layers against those.
fn maps(group: &Group) -> Vec<HeatMap> {
    let layers = group.layers();
    let names = layers.iter().map(|layer| format!("layer {layer}"));
    let names: Vec<String> = names.collect();
    let error = |row: Option<&Row>| row.and_then(|row| row.error).map(|error| error.mean);
    let (epochs, changes) = (
        group.distinct(|row| row.epoch),
        group.distinct(|row| row.change),
    );
    if let [epoch] = epochs[..] {
        let mut columns: Vec<String> = changes
            .iter()
            .map(|change| match change {
                Change::Anew => "drawn anew".to_owned(),
                Change::SetBack(checkpoint) => checkpoint.to_string(),
            })
            .collect();
        columns.push("trained".to_owned());
        let cells = layers.iter().map(|&layer| {
            let row = changes
                .iter()
                .map(|&change| error(group.at(epoch, layer, change)));
            let trained = group.rows.first().and_then(|row| row.trained);
            row.chain([trained.map(|error| error.mean)]).collect()
        });
        return vec![HeatMap {
            title: group.label(),
            columns: (
                "layer set back to its state after epoch".to_owned(),
                columns,
            ),
            rows: names,
            cells: cells.collect(),
        }];
    }
    let map = |&change: &Change| HeatMap {
        title: match change {
            Change::Anew => format!("{}: drawn anew", group.label()),
            Change::SetBack(checkpoint) => {
                format!("{}: set back to epoch {checkpoint}", group.label())
            }
        },
        columns: (
            "epochs trained".to_owned(),
            epochs.iter().map(ToString::to_string).collect(),
        ),
        rows: names.clone(),
        cells: layers
            .iter()
            .map(|&layer| {
                let row = epochs
                    .iter()
                    .map(|&epoch| error(group.at(epoch, layer, change)));
                row.collect()
            })
            .collect(),
    };
    changes.iter().map(map).collect()
}
