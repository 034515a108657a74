//! Lists of servers that somebody else has written: what is understood is whole, and reads back the same.

use std::collections::BTreeSet;

use evenkeel_config::found::document::parse;
use evenkeel_config::plan::MOST_SERVERS;

/// A document, and what it says as JSON and as lines.
pub fn servers_document(data: &[u8]) {
    let found = match parse(data) {
        Ok(found) => found,
        Err(why) => {
            assert!(!why.is_empty() && !why.chars().any(char::is_control), "{why:?}");
            return;
        }
    };
    assert!(found.len() <= MOST_SERVERS);
    let addresses: BTreeSet<_> = found.iter().map(|server| server.address).collect();
    assert_eq!(addresses.len(), found.len());
    let mut lines = String::new();
    for server in &found {
        assert!(server.address.port() > 0 && !server.address.ip().is_unspecified());
        lines.push_str(&server.address.to_string());
        if let Some(name) = &server.name {
            lines.push_str(&format!(" name={}", name.as_str()));
        }
        if let Some(weight) = server.weight {
            lines.push_str(&format!(" weight={}", weight.value()));
        }
        if let Some(priority) = server.priority {
            lines.push_str(&format!(" priority={}", priority.0));
        }
        if let Some(most) = server.max_connections {
            lines.push_str(&format!(" max-connections={most}"));
        }
        lines.push('\n');
    }
    assert_eq!(parse(lines.as_bytes()).as_ref(), Ok(&found));
}
