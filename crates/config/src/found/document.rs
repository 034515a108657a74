//! Reads a list of servers that somebody else has written: JSON, or a line for each server.
//!
//! Invariants: a document is understood as a whole or not at all; it is judged by its bytes alone; no input takes more
//! memory than a small multiple of its size. What it means that the list is empty is decided elsewhere.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use evenkeel_traffic::address::{Address, InvalidAddress};
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Priority, Weight};
use serde::Deserialize;

use super::Found;
use crate::plan::MOST_SERVERS;

/// The largest document, in bytes: the most servers with the longest names stay below.
pub const LARGEST: usize = 1024 * 1024;
/// The most characters of a document that a message repeats.
const SHOWN: usize = 60;

// fuzz: servers_document
/// The servers of a document.
///
/// # Errors
/// When a part of it cannot be understood; the words say which and what is expected.
pub fn parse(bytes: &[u8]) -> Result<Vec<Found>, String> {
    if bytes.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text (UTF-8)".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let found = match text.trim_start().chars().next() {
        Some('[' | '{') if !looks_like_ipv6(text) => json(text)?,
        _ => lines(text)?,
    };
    if found.len() > MOST_SERVERS {
        return Err(format!("it names {} servers; a pool may have {MOST_SERVERS}", found.len()));
    }
    unique(&found)?;
    Ok(found)
}

/// A first line such as `[2001:db8::1]:80` is an address, not JSON.
fn looks_like_ipv6(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse::<SocketAddr>().is_ok()
}

/// A document in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Bare(Vec<Item>),
    Named(Servers),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    servers: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Address(String),
    Server(Described),
    /// What Prometheus takes from files and over HTTP; labels say nothing here.
    Targets(Targets),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Described {
    address: String,
    name: Option<String>,
    weight: Option<u16>,
    priority: Option<u8>,
    backup: Option<bool>,
    max_connections: Option<NonZeroU32>,
}

#[derive(Deserialize)]
struct Targets {
    targets: Vec<String>,
}

fn json(text: &str) -> Result<Vec<Found>, String> {
    // Two steps, so that a missing bracket is told with its place and a wrong member with what is expected.
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let items = match serde_json::from_value(value) {
        Ok(Document::Bare(items) | Document::Named(Servers { servers: items })) => items,
        Err(_) => {
            return Err("it is JSON of another form: write `[\"192.0.2.1:80\", { \"address\": \"192.0.2.2:80\", \"weight\": 2 }]`; \
                        a server may have `address`, `name`, `weight` (0 to 256), `priority` (0 to 255), `backup` and \
                        `max-connections`"
                .into());
        }
    };
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Address(text) => found.push(Found::at(address(&text)?)),
            Item::Targets(Targets { targets }) => {
                for target in targets {
                    found.push(Found::at(address(&target)?));
                }
            }
            Item::Server(described) => found.push(described.found()?),
        }
    }
    Ok(found)
}

impl Described {
    fn found(self) -> Result<Found, String> {
        let Self { address: text, name, weight, priority, backup, max_connections } = self;
        let address = address(&text)?;
        if backup.is_some() && priority.is_some() {
            return Err(format!("{} has `backup` and `priority`: one is enough", shown(&text)));
        }
        let backup = backup.filter(|backup| *backup).map(|_| Priority::BACKUP);
        Ok(Found {
            address,
            name: name.map(|name| named(&name)).transpose()?,
            weight: weight.map(weighted).transpose()?,
            priority: priority.map(Priority).or(backup),
            max_connections,
        })
    }
}

fn lines(text: &str) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("its last line does not end, so it may have been cut off: end it with a line feed".into());
    }
    for (index, line) in text.lines().enumerate() {
        let told = |why: String| format!("line {}: {why}", index + 1);
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let mut server = Found::at(address(first).map_err(told)?);
        for word in words {
            setting(&mut server, word).map_err(told)?;
        }
        found.push(server);
    }
    Ok(found)
}

/// `weight=2`, `backup` and so on, behind an address.
fn setting(server: &mut Found, word: &str) -> Result<(), String> {
    let number = |value: &str| value.parse::<u32>().map_err(|_| format!("{} has no number", shown(word)));
    match word.split_once('=') {
        Some(("weight", value)) => {
            server.weight = Some(weighted(u16::try_from(number(value)?).unwrap_or(u16::MAX))?);
        }
        Some(("name", value)) => server.name = Some(named(value)?),
        Some(("priority", value)) => {
            let priority = u8::try_from(number(value)?)
                .map_err(|_| "a priority is a number from 0 to 255".to_owned())?;
            server.priority = Some(Priority(priority));
        }
        Some(("max-connections", value)) => {
            let most = NonZeroU32::new(number(value)?).ok_or("`max-connections` is at least 1")?;
            server.max_connections = Some(most);
        }
        None if word == "backup" => server.priority = Some(Priority::BACKUP),
        _ => {
            return Err(format!(
                "{} is unknown: behind an address may stand `weight=2`, `name=web1`, `priority=50`, `backup` and \
                 `max-connections=100`",
                shown(word)
            ));
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<Address>() {
        Ok(Address::Tcp(address)) => address,
        Ok(Address::Unix(_)) => return Err(format!("{} is a unix socket; write IP addresses", shown(text))),
        Err(InvalidAddress::HostName) => {
            return Err(format!("{} is a host name; write IP addresses, or use `dns`", shown(text)));
        }
        Err(why) => return Err(format!("{} is no address: {why}", shown(text))),
    };
    if !super::is_of_a_server(address.ip()) {
        return Err(format!("{} is no address of a server", shown(text)));
    }
    Ok(address)
}

fn named(text: &str) -> Result<Name, String> {
    text.parse().map_err(|why| format!("{} is no name: {why}", shown(text)))
}

fn weighted(number: u16) -> Result<Weight, String> {
    Weight::try_from(number).map_err(|why| why.to_string())
}

/// One name for two servers, or two entries for one, would be answered by leaving one out without a word.
fn unique(found: &[Found]) -> Result<(), String> {
    let mut addresses = std::collections::BTreeSet::new();
    let mut names = std::collections::BTreeSet::new();
    for server in found {
        if !addresses.insert(server.address) {
            return Err(format!("{} stands there twice", server.address));
        }
        if let Some(name) = &server.name
            && !names.insert(name)
        {
            return Err(format!("two servers have the name {name}"));
        }
    }
    Ok(())
}

/// A word of a document for a message: short, without control characters.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect();
    let dots = if text.chars().count() > SHOWN { "…" } else { "" };
    format!("`{short}{dots}`")
}
