//! The page of the guide: who met whom, and whether it worked.

use std::fmt::Write as _;
use std::path::Path;

use super::Outcome;
use super::site::Towards;

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
        Made by `cargo xtask clients-lab`: clients that people use fetch a page from nginx through Evenkeel. Both ends say which version \
        of HTTP they spoke; \"yes\" means that it was the one that was asked for and that the page was whole.\n\n\
        | client | speaks | to the server: HTTP/1.1 | HTTP/2 | HTTP/2 over TLS |\n|---|---|---|---|---|\n"
        .to_owned();
    for ways in outcomes.chunks(Towards::ALL.len()) {
        let Some(first) = ways.first() else { continue };
        let secure = if first.secure { " over TLS" } else { "" };
        let _ = write!(text, "| {} | {}{secure} |", first.client, first.version);
        for way in ways {
            text.push_str(if way.wrong.is_some() { " **no** |" } else { " yes |" });
        }
        text.push('\n');
    }
    if !missing.is_empty() {
        let _ = write!(text, "\nNot installed, so not tried: {}.\n", missing.join(", "));
    }
    let _ = write!(text, "\nVersions: {}.\n", versions.join("; "));
    text
}

#[cfg(test)]
mod tests {
    use super::super::client::Version;
    use super::*;

    #[test]
    fn what_did_not_work_is_said() {
        let outcome = |wrong: Option<&str>| Outcome {
            client: "curl",
            version: Version::Http2,
            secure: true,
            wrong: wrong.map(str::to_owned),
        };
        let outcomes = [outcome(None), outcome(Some("reset")), outcome(None)];
        let text = text(&outcomes, &["Chromium"], &["nginx 1".to_owned()]);
        assert!(text.contains("| curl | HTTP/2 over TLS | yes | **no** | yes |"), "{text}");
        assert!(text.contains("Not installed, so not tried: Chromium."), "{text}");
    }
}
