//! The JSON schema (draft-07) of sweep files, made from the tables that the parser reads: editors check and complete with it.
//!
//! It knows keys, types, bounds and words. What needs the whole file (a setting without effect, two axes for one setting,
//! conditions, too many points) only the parser judges.

use serde_json::{Map, Value, json};

use crate::robustness::RobustnessSpec;
use crate::setting::{Bound, Fallback, Key, Kind, MAX_LAYERS, SETTINGS, Setting};
use crate::sweep::{
    MAX_AXIS_VALUES, MAX_BLOCKS, MAX_CONDITION_BYTES, MAX_NAME_BYTES, MAX_TABLES, RUN_SETTINGS,
};

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut properties = body();
    properties.insert(
        "name".to_owned(),
        json!({
            "description": "Name of the sweep, and of its view `sweep_<name>`.",
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]*$",
            "maxLength": MAX_NAME_BYTES,
        }),
    );
    properties.insert(
        "experiment".to_owned(),
        of_setting(Key::Experiment.setting()),
    );
    properties.insert("run".to_owned(), run());
    properties.insert(
        "exclude".to_owned(),
        json!({
            "description": "Points to leave out.",
            "type": "array",
            "maxItems": MAX_TABLES,
            "items": {
                "type": "object",
                "properties": { "when": condition() },
                "required": ["when"],
                "additionalProperties": false,
            },
        }),
    );
    let mut block = body();
    block.insert("when".to_owned(), condition());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "descent sweep file",
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "additionalProperties": false,
        "definitions": definitions(&block),
    })
}

/// What several places refer to.
fn definitions(block: &Map<String, Value>) -> Map<String, Value> {
    let mut definitions = Map::new();
    definitions.insert(
        "block".to_owned(),
        json!({ "type": "object", "properties": block, "additionalProperties": false }),
    );
    definitions.insert("axes".to_owned(), axes());
    for group in GROUPS {
        definitions.insert(group.to_owned(), of_group(group));
    }
    for setting in SETTINGS.iter().filter(|setting| setting.sweepable) {
        definitions.insert(format!("axis-{}", setting.name), axis(setting));
    }
    definitions
}

/// Tables of settings.
const GROUPS: [&str; 9] = [
    "data",
    "model",
    "mask",
    "subspace",
    "train",
    "evaluate",
    "code",
    "freedom",
    "robustness",
];

fn refer(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

/// What the root and every block may have.
fn body() -> Map<String, Value> {
    let mut properties = Map::new();
    for group in GROUPS {
        properties.insert(group.to_owned(), refer(group));
    }
    properties.insert("seed".to_owned(), of_setting(Key::Seed.setting()));
    properties.insert("axes".to_owned(), refer("axes"));
    let zipped = json!({ "allOf": [refer("axes"), { "minProperties": 2 }] });
    properties.insert(
        "zip".to_owned(),
        json!({ "type": "array", "maxItems": MAX_TABLES, "items": zipped }),
    );
    properties.insert(
        "block".to_owned(),
        json!({
            "description": "Axes and settings for some points only.",
            "type": "array",
            "maxItems": MAX_BLOCKS,
            "items": refer("block"),
        }),
    );
    properties
}

fn condition() -> Value {
    json!({
        "description": "Comparisons of settings, joined by and, or, not.",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_CONDITION_BYTES,
    })
}

/// A table of settings, with the groups inside it.
fn of_group(group: &str) -> Value {
    let prefix = format!("{group}.");
    let mut properties = Map::new();
    for setting in &SETTINGS {
        let Some(rest) = setting.name.strip_prefix(&prefix) else {
            continue;
        };
        match rest.split_once('.') {
            None => properties.insert(rest.to_owned(), of_setting(setting)),
            Some((inner, _)) if properties.contains_key(inner) => None,
            Some((inner, _)) => {
                properties.insert(inner.to_owned(), of_group(&format!("{prefix}{inner}")))
            }
        };
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn of_setting(setting: &Setting) -> Value {
    let mut schema = of_kind(setting.kind);
    schema["description"] = json!(described(setting));
    if let Some(default) = setting.fallback.value() {
        schema["default"] = default.to_json();
    }
    schema
}

fn described(setting: &Setting) -> String {
    let mut text = setting.doc.to_owned();
    if !setting.unit.is_empty() {
        text += &format!(" In {}.", setting.unit);
    }
    if setting.fallback == Fallback::All {
        text += " Default: all.";
    }
    text
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Float { min, max } => {
            let mut schema = json!({ "type": "number" });
            match min {
                Bound::Closed(end) => schema["minimum"] = json!(end),
                Bound::Open(end) => schema["exclusiveMinimum"] = json!(end),
            }
            match max {
                Bound::Closed(end) => schema["maximum"] = json!(end),
                Bound::Open(end) => schema["exclusiveMaximum"] = json!(end),
            }
            schema
        }
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Text { max } => json!({ "type": "string", "minLength": 1, "maxLength": max }),
        Kind::Layers => {
            let more = MAX_LAYERS - 1;
            let units = "([1-9][0-9]{0,6}|10000000)";
            json!({ "type": "string", "pattern": format!("^{units}(-{units}){{0,{more}}}$") })
        }
        Kind::Epochs => {
            let more = RobustnessSpec::MOST - 1;
            let epoch = "(0|[1-9][0-9]{0,8})";
            json!({ "type": "string", "pattern": format!("^{epoch}(,{epoch}){{0,{more}}}$") })
        }
    }
}

fn axes() -> Value {
    let sweepable = SETTINGS.iter().filter(|setting| setting.sweepable);
    let properties: Map<String, Value> = sweepable
        .flat_map(|setting| {
            let names = setting.alias.into_iter().chain([setting.name]);
            names.map(move |name| (name.to_owned(), refer(&format!("axis-{}", setting.name))))
        })
        .collect();
    json!({
        "description": "Swept settings.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn axis(setting: &Setting) -> Value {
    let item = of_kind(setting.kind);
    let list = json!({
        "type": "array", "items": item, "minItems": 1, "maxItems": MAX_AXIS_VALUES, "uniqueItems": true,
    });
    let form = |properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .collect();
        json!({
            "type": "object",
            "required": required,
            "properties": properties,
            "additionalProperties": false,
        })
    };
    let mut forms = vec![list.clone(), form(json!({ "values": list }))];
    if let Kind::Integer { .. } | Kind::Float { .. } = setting.kind {
        let ends = json!({ "type": "array", "items": item, "minItems": 2, "maxItems": 2 });
        let mut above_zero = ends.clone();
        above_zero["items"]["exclusiveMinimum"] = json!(0);
        let step = match setting.kind {
            Kind::Integer { max, .. } => Kind::Integer { min: 1, max },
            _ => Kind::Float {
                min: Bound::Open(0.0),
                max: Bound::Closed(1e12),
            },
        };
        let points = json!({ "type": "integer", "minimum": 2, "maximum": MAX_AXIS_VALUES });
        forms.push(form(json!({ "range": ends, "step": of_kind(step) })));
        forms.push(form(json!({ "linear": ends, "points": points })));
        forms.push(form(json!({ "log": above_zero, "points": points })));
    }
    if setting.key.is_seed() {
        let count = Kind::Integer {
            min: 1,
            max: MAX_AXIS_VALUES,
        };
        forms.push(form(json!({ "count": of_kind(count) })));
    }
    json!({ "description": described(setting), "anyOf": forms })
}

fn run() -> Value {
    let properties: Map<String, Value> = RUN_SETTINGS
        .iter()
        .map(|row| {
            let mut schema = of_kind(row.kind);
            schema["description"] = json!(format!("{} Default: {}.", row.doc, row.default));
            (row.name.to_owned(), schema)
        })
        .collect();
    json!({
        "description": "How the sweep is carried out; decides no result.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}
