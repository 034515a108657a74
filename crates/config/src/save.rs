//! Writes runtime changes into the text of a file, and touches nothing else in it.
//!
//! Invariants: comments, order and spelling of what was not changed stay byte for byte; a value that came from a variable
//! stays one. Whether the new text means what is in force is for the caller to see: it loads it and compares.

use std::fmt;

use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::pick::Priority;
use toml_edit::{DocumentMut, InlineTable, Item, Key, RawString, TableLike, Value, value};

use crate::overlay::{Adjustment, Change, Entry};
use crate::plan::Server;

/// Why a text cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotWritable(String);

impl fmt::Display for NotWritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotWritable {}

/// The text with those of `entries` whose pool stands in it, and the number of them.
///
/// # Errors
/// When the text is no TOML, or a pool is written in a way that cannot be added to.
pub fn write(text: &str, entries: &[Entry]) -> Result<(String, usize), NotWritable> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| NotWritable(format!("it is no TOML: {error}")))?;
    let mut written = 0;
    for entry in entries {
        let pool = document
            .get_mut("pool")
            .and_then(|pools| pools.as_table_like_mut()?.get_mut(entry.pool.as_str()))
            .and_then(Item::as_table_like_mut);
        let Some(pool) = pool else { continue };
        let servers = pool
            .get_mut("servers")
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| NotWritable(format!("the servers of pool {} are no table in it", entry.pool)))?;
        let name = entry.server.as_str();
        match &entry.change {
            Change::Removed => remove(servers, name),
            Change::Set(server) => set(servers, name, server),
            Change::Adjusted(adjustment) => adjust(servers, name, *adjustment)?,
        }
        written += 1;
    }
    Ok((document.to_string(), written))
}

/// Puts a server in place of what is there, or at the end.
fn set(servers: &mut dyn TableLike, name: &str, server: &Server) {
    if let Some(known) = servers.get_mut(name).and_then(Item::as_table_mut) {
        known.clear();
        for (key, value) in settings(server) {
            known.insert(key, Item::Value(value));
        }
        return;
    }
    let mut new = match settings(server) {
        settings if settings.len() > 1 => Value::InlineTable(inline(settings)),
        _ => Value::from(server.address.to_string()),
    };
    match servers.get_mut(name).and_then(Item::as_value_mut) {
        Some(known) => {
            *new.decor_mut() = known.decor().clone();
            *known = new;
        }
        None => {
            // Written as the last one is, so that a list that is indented stays so.
            let style = last_key(servers).map(|key| key.leaf_decor().clone());
            servers.insert(name, value(new));
            if let (Some(style), Some(mut key)) = (style, servers.key_mut(name)) {
                let indent = style.prefix().and_then(RawString::as_str).unwrap_or_default();
                let indent = indent.rsplit('\n').next().unwrap_or_default().to_owned();
                key.leaf_decor_mut().set_prefix(indent);
            }
        }
    }
}

/// Changes some settings of a server that is there.
fn adjust(servers: &mut dyn TableLike, name: &str, adjustment: Adjustment) -> Result<(), NotWritable> {
    let gone = || NotWritable(format!("it has no server {name}"));
    let item = servers.get_mut(name).ok_or_else(gone)?;
    if let Item::Value(known @ Value::String(_)) = item {
        let decor = known.decor().clone();
        let mut address = known.clone();
        address.decor_mut().clear();
        let mut table = InlineTable::new();
        table.insert("address", address);
        *table.decor_mut() = decor;
        *known = Value::InlineTable(table);
    }
    let table = item.as_table_like_mut().ok_or_else(gone)?;
    let number = |number: u32| Value::from(i64::from(number));
    if let Some(weight) = adjustment.weight {
        replace(table, "weight", number(weight.value().into()));
    }
    if let Some(most) = adjustment.max_connections {
        replace(table, "max-connections", number(most.get()));
    }
    match adjustment.state {
        Some(Duty::Ready) => drop(table.remove("state")),
        Some(state) => replace(table, "state", Value::from(state.word())),
        None => {}
    }
    Ok(())
}

/// Puts a value in place of another, with the comment behind it.
fn replace(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(known) => {
            *new.decor_mut() = known.decor().clone();
            *known = new;
        }
        None => drop(table.insert(key, Item::Value(new))),
    }
}

/// Takes a server out. The comment right above it goes with it; what stands further up, apart, stays.
fn remove(servers: &mut dyn TableLike, name: &str) {
    let keys: Vec<String> = servers.iter().map(|(key, _)| key.to_owned()).collect();
    let Some(place) = keys.iter().position(|key| key == name) else { return };
    let above = servers
        .key(name)
        .and_then(|key| key.leaf_decor().prefix()?.as_str())
        .and_then(|prefix| prefix.rsplit_once("\n\n"))
        .map(|(above, _)| format!("{above}\n\n"))
        .filter(|above| above.contains('#'));
    servers.remove(name);
    let Some(above) = above else { return };
    if let Some(next) = keys.get(place + 1)
        && let Some(mut key) = servers.key_mut(next)
    {
        let own = key.leaf_decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned();
        key.leaf_decor_mut().set_prefix(format!("{above}{own}"));
    } else if let Some(before) = place.checked_sub(1).and_then(|place| keys.get(place))
        && let Some(last) = servers.get_mut(before).and_then(Item::as_value_mut)
    {
        let own = last.decor().suffix().and_then(RawString::as_str).unwrap_or_default().to_owned();
        last.decor_mut().set_suffix(format!("{own}\n{}", above.trim_end()));
    }
}

fn last_key(servers: &dyn TableLike) -> Option<&Key> {
    let name = servers.iter().last()?.0.to_owned();
    servers.key(&name)
}

/// What of a server is not as a file that does not say it.
fn settings(server: &Server) -> Vec<(&'static str, Value)> {
    let mut settings = vec![("address", Value::from(server.address.to_string()))];
    let number = |number: u32| Value::from(i64::from(number));
    let check = server.check_address.iter();
    settings.extend(check.map(|address| ("check-address", Value::from(address.to_string()))));
    if server.weight.value() != 1 {
        settings.push(("weight", number(server.weight.value().into())));
    }
    if server.priority != Priority::USUAL {
        settings.push(("priority", number(server.priority.0.into())));
    }
    settings.extend(server.max_connections.map(|most| ("max-connections", number(most.get()))));
    if server.duty != Duty::Ready {
        settings.push(("state", Value::from(server.duty.word())));
    }
    settings
}

fn inline(settings: Vec<(&'static str, Value)>) -> InlineTable {
    let mut table = InlineTable::new();
    for (key, value) in settings {
        table.insert(key, value);
    }
    table
}

#[cfg(test)]
mod tests;
