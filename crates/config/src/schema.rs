//! The configuration as JSON Schema (2020-12), so that editors complete and check it.
//!
//! It sees the form of each value, not what values mean together: every configuration that loads is valid, and some
//! that do not load are valid too. Where a variable may stand, any string with `${` is valid.

use serde_json::{Map, Value, json};

use crate::keys::{BALANCE_WORDS, Default, HASH_WORDS, KEYS, Key, Kind, Section};

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
const VARIABLE: &str = r"\$\{";
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(d|h|m|s|ms))+$";
const SIZE: &str = r"^[0-9]+(\.[0-9]+)?([KMG]i)?B$";
const ADDRESS: &str =
    r"^(unix:/.+|[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]:[0-9]{1,5})$";
const SERVER: &str = r"^(unix:/.+|[0-9A-Za-z_][0-9A-Za-z._-]*:[0-9]{1,5}|_[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]:[0-9]{1,5})$";
const ORIGIN: &str = r"^([0-9A-Za-z_][0-9A-Za-z._-]*:[0-9]{1,5}|_[0-9A-Za-z._-]+)$";
const NAMESERVER: &str = r"^([0-9A-Fa-f:.]+|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$";
const NETWORK: &str = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";
const IP: &str = "^[0-9A-Fa-f:.]+$";
const INTERFACE: &str = r"^[^/\s]{1,15}$";
const STATUSES: &str = r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?( *, *[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$";
const SERVICE: &str = r"^[A-Za-z0-9_./-]{0,255}$";
const TOKEN: &str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The schema of a whole file.
#[must_use]
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    for section in Section::ALL.into_iter().filter(|section| *section != Section::Top) {
        definitions.insert(section.path().to_owned(), table(section));
    }
    let mut schema = table(Section::Top);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".into(), "Configuration of Evenkeel".into());
        schema.insert("$defs".into(), definitions.into());
    }
    schema
}

/// One table: its keys, and no others.
fn table(section: Section) -> Value {
    let properties: Map<String, Value> =
        section.keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        section.keys().filter(|key| matches!(key.default, Default::Required)).map(|key| key.name).collect();
    let mut table = json!({
        "type": "object",
        "description": section.description(),
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    if section == Section::Pool {
        table["anyOf"] = json!([{ "required": ["servers"] }, { "required": ["servers-from"] }]);
    }
    if section == Section::ServersFrom {
        table["oneOf"] = json!([{ "required": ["dns"] }, { "required": ["file"] }, { "required": ["http"] }]);
    }
    if section == Section::Listener {
        let mut refused = refused_with_tcp(Section::Listener);
        refused
            .insert("route".into(), json!({ "items": { "properties": refused_with_tcp(Section::Route) } }));
        table["if"] = json!({ "properties": { "mode": { "const": "tcp" } }, "required": ["mode"] });
        table["then"] = json!({ "properties": refused });
    }
    table
}

fn refused_with_tcp(section: Section) -> Map<String, Value> {
    KEYS.iter()
        .filter(|key| key.section == section && key.http_only)
        .map(|key| (key.name.to_owned(), Value::Bool(false)))
        .collect()
}

fn property(key: &Key) -> Value {
    let mut property = kind(&key.kind);
    if let Value::Object(property) = &mut property {
        property.insert("description".into(), key.description.into());
        if let Some(default) = default(key) {
            property.insert("default".into(), default);
        }
    }
    property
}

fn default(key: &Key) -> Option<Value> {
    let Default::Value(value) = key.default else { return None };
    Some(match key.kind {
        Kind::Count { .. } => value.parse::<u64>().map_or_else(|_| value.into(), Value::from),
        Kind::Words(_) => json!([value]),
        Kind::Flag | Kind::FlagOrTime { .. } => Value::Bool(value == "true"),
        _ => value.into(),
    })
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Table(section) => reference(*section),
        Kind::Named(Section::Server) => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": { "anyOf": [matching(SERVER), reference(Section::Server)] },
        }),
        Kind::Named(section) => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": reference(*section),
        }),
        Kind::List(section) => json!({ "type": "array", "items": reference(*section) }),
        Kind::Count { least, most, auto } => {
            let mut forms = vec![json!({ "type": "integer", "minimum": least, "maximum": most }), variable()];
            if *auto {
                forms.push(json!({ "const": "auto" }));
            }
            json!({ "anyOf": forms })
        }
        Kind::Flag => json!({ "anyOf": [{ "type": "boolean" }, variable()] }),
        Kind::FlagOr(words) => json!({ "anyOf": [{ "type": "boolean" }, word(words)] }),
        Kind::Balance => balance(),
        Kind::Time { .. } => matching(DURATION),
        Kind::Size { .. } => matching(SIZE),
        Kind::WordOrTable(words, section) => json!({ "anyOf": [word(words), reference(*section)] }),
        Kind::Command => one_or_list(&json!({ "type": "string" }), 1),
        Kind::Text | Kind::Host => json!({ "type": "string", "minLength": 1 }),
        Kind::Target => matching("^/"),
        Kind::Fields => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": TOKEN },
            "additionalProperties": { "type": "string" },
        }),
        Kind::Service => matching(SERVICE),
        Kind::Statuses => one_or_list(&matching(STATUSES), 1),
        Kind::Word(words) => word(words),
        Kind::Words(words) => one_or_list(&word(words), 0),
        Kind::Address => matching(ADDRESS),
        Kind::Addresses => one_or_list(&matching(ADDRESS), 1),
        Kind::Networks { may_be_empty } => one_or_list(&matching(NETWORK), u8::from(!may_be_empty)),
        Kind::Pool | Kind::Listener | Kind::Group => matching(NAME),
        Kind::Weight => {
            let bounds = json!({ "type": "integer", "minimum": -253, "maximum": 253, "not": { "const": 0 } });
            json!({ "anyOf": [bounds, variable()] })
        }
        Kind::User => json!({ "type": "string", "minLength": 1 }),
        Kind::Path => matching("^(unix:)?/"),
        Kind::LogTarget => matching("^(stdout|syslog|/.*[^/])$"),
        Kind::File => matching("^/.*[^/]$"),
        Kind::DirectoryOrList(section) => json!({
            "anyOf": [matching("^/"), { "type": "array", "minItems": 1, "items": reference(*section) }],
        }),
        Kind::Cookie => matching(TOKEN),
        Kind::Domain => matching("^[A-Za-z0-9][A-Za-z0-9.-]*$"),
        Kind::Globs => one_or_list(&json!({ "type": "string", "minLength": 1 }), 0),
        Kind::Hosts => one_or_list(&json!({ "type": "string", "minLength": 1 }), 1),
        Kind::Paths => one_or_list(&matching("^[/*]"), 1),
        Kind::Methods => one_or_list(&matching(TOKEN), 1),
        Kind::Headers => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": TOKEN },
            "additionalProperties": { "type": ["string", "boolean"] },
        }),
        Kind::Interface => matching(INTERFACE),
        Kind::Ip => matching(IP),
        Kind::Ips => one_or_list(&matching(IP), 1),
        Kind::Prefixes => one_or_list(&matching(NETWORK), 1),
        Kind::Network => matching(NETWORK),
        Kind::FlagOrTime { .. } => json!({ "anyOf": [{ "type": "boolean" }, matching(DURATION)] }),
        Kind::ServerAddress => matching(SERVER),
        Kind::Origin => matching(ORIGIN),
        Kind::Url => matching("^https?://"),
        Kind::Nameservers => one_or_list(&matching(NAMESERVER), 1),
        Kind::Secrets => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": "^[0-9]{1,3}$" },
            "additionalProperties": { "type": "string" },
        }),
    }
}

fn balance() -> Value {
    let named = |kind: &str, form: &Value| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": { kind: form },
            "required": [kind],
        })
    };
    let parameter = matching("^[!\"$%'-<>-~]+$");
    json!({
        "anyOf": [
            word(BALANCE_WORDS),
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["hash"],
                "properties": {
                    "hash": {
                        "anyOf": [
                            word(HASH_WORDS),
                            named("header", &matching(TOKEN)),
                            named("cookie", &matching(TOKEN)),
                            named("query", &parameter),
                        ],
                    },
                    "bounded-load": {
                        "anyOf": [{ "type": "number", "minimum": 1.01, "maximum": 10 }, variable()],
                    },
                    "ipv6-prefix": {
                        "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 128 }, variable()],
                    },
                },
            },
        ],
    })
}

fn reference(section: Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", section.path()) })
}

/// A string of this form, or one with a variable in it.
fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|{VARIABLE}") })
}

fn variable() -> Value {
    json!({ "type": "string", "pattern": VARIABLE })
}

fn word(words: &[&str]) -> Value {
    json!({ "anyOf": [{ "enum": words }, variable()] })
}

fn one_or_list(item: &Value, least: u8) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": least }] })
}
