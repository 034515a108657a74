//! The page of the guide: who met whom, and whether it worked.

use std::fmt::Write as _;
use std::path::Path;

use super::Outcome;
use super::built;
use super::site::{Server, Towards};

const PAGE: &str = "docs/guide/clients-measured.md";

pub(super) fn write(
    root: &Path,
    outcomes: &[Outcome],
    missing: &[&str],
    versions: &[String],
) -> Result<(), String> {
    let text = text(outcomes, missing, versions);
    println!("{text}");
    std::fs::write(root.join(PAGE), text).map_err(|error| format!("{PAGE}: {error}"))
}

fn text(outcomes: &[Outcome], missing: &[&str], versions: &[String]) -> String {
    let mut text = "# Clients that were tried\n\n\
        Made by `cargo xtask clients-lab`: clients that people use, through Evenkeel, to servers that people use. Both ends say which \
        version of HTTP they spoke; \"yes\" means that it was the one that was asked for, and that everything came as it was sent.\n"
        .to_owned();
    for server in Server::ALL {
        let _ = write!(text, "\n## To {}\n\n{}\n\n", server, what(server));
        table(&mut text, server, outcomes);
    }
    if !missing.is_empty() {
        let _ = write!(text, "\nNot installed, so not tried: {}.\n", missing.join(", "));
    }
    let _ = write!(text, "\nVersions: {}.\n", versions.join("; "));
    text
}

/// What clients do there.
fn what(server: Server) -> String {
    let fetched = match server {
        Server::Nginx => "They fetch a page.",
        Server::Tonic => "They fetch a page from the server of gRPC, or call it.",
        Server::Tungstenite => "WebSocket, by an upgrade of HTTP/1.1 or over a stream of HTTP/2 (RFC 8441).",
    };
    let own = built::CLIENTS.iter().filter(|client| client.server == server);
    let own = own.map(|client| format!("\n\n{} on each way:\n\n{}", client.name, client.does().join("\n")));
    format!("{fetched}{}", own.collect::<String>())
}

fn table(text: &mut String, server: Server, outcomes: &[Outcome]) {
    let columns: Vec<String> = server.ways().iter().map(Towards::to_string).collect();
    let _ = write!(text, "| client | speaks | to the server: {} |\n|---|---|", columns.join(" | "));
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    let there: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.server == server).collect();
    for ways in there.chunks(columns.len()) {
        let Some(first) = ways.first() else { continue };
        let secure = if first.secure { " over TLS" } else { "" };
        let _ = write!(text, "| {} | {}{secure} |", first.client, first.version);
        for way in ways {
            text.push_str(if way.wrong.is_some() { " **no** |" } else { " yes |" });
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Version;
    use super::*;

    #[test]
    fn what_did_not_work_is_said() {
        let outcome = |server, wrong: Option<&str>| Outcome {
            client: "curl",
            version: Version::Http2,
            secure: true,
            server,
            wrong: wrong.map(str::to_owned),
        };
        let nginx = [None, Some("reset"), None].map(|wrong| outcome(Server::Nginx, wrong));
        let tonic = [Some("reset"), None].map(|wrong| outcome(Server::Tonic, wrong));
        let outcomes: Vec<Outcome> = nginx.into_iter().chain(tonic).collect();
        let text = text(&outcomes, &["Chromium"], &["nginx 1".to_owned()]);
        assert!(text.contains("| curl | HTTP/2 over TLS | yes | **no** | yes |\n"), "{text}");
        assert!(text.contains("| curl | HTTP/2 over TLS | **no** | yes |\n"), "{text}");
        assert!(text.contains("Not installed, so not tried: Chromium."), "{text}");
    }
}
