//! The clients that are built here, from `labs/clients`: they count what they do, and what they have counted is judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::client::Version::{self, Http1, Http2};
use super::client::{end, everything};
use super::site::{Server, Site, Towards};

const MANIFEST: &str = "labs/clients/Cargo.toml";
const LOCK: &str = "labs/clients/Cargo.lock";
/// How long one client may take on one way, in seconds: its checks have bounds of their own.
const LONGEST: &str = "300";

/// A client that is built here.
pub(super) struct BuiltClient {
    pub(super) name: &'static str,
    pub(super) server: Server,
    /// Version, and whether over TLS.
    pub(super) ways: &'static [(Version, bool)],
    pub(super) checks: &'static [Check],
}

/// Something that a client does on each way.
pub(super) struct Check {
    name: &'static str,
    /// What the client must have counted.
    count: u64,
    what: &'static str,
}

const fn check(name: &'static str, count: u64, what: &'static str) -> Check {
    Check { name, count, what }
}

/// All of them.
pub(super) const CLIENTS: [BuiltClient; 2] = [
    BuiltClient {
        name: "tonic (gRPC)",
        server: Server::Tonic,
        ways: &[(Http2, false), (Http2, true)],
        checks: &[
            check("unary", 1_000, "calls of one message, 100 at once"),
            check("server-stream", 10_000, "messages from the server, in order"),
            check("client-stream", 10_000, "messages to the server, in order"),
            check("both-streams", 1_000, "messages that are each answered before the next is sent"),
            check("big-message", 8 << 20, "bytes in one message, there and back"),
            check("big-streams", 128, "messages of 1 MiB, half of them there, half back"),
            check(
                "metadata",
                7,
                "values of metadata there and back: text, `-bin`, several of a key, `grpc-timeout`",
            ),
            check(
                "status",
                2,
                "refusals with code, message, details and trailers: at once, and behind messages",
            ),
            check("deadline", 10, "calls that their deadlines end, at the server too"),
            check("cancel", 101, "calls and streams that are called off, and end at the server"),
            check(
                "health",
                6,
                "states of the service, by `Watch` and by the balancer's own check: well, out, in again",
            ),
        ],
    },
    BuiltClient {
        name: "tokio-tungstenite (WebSocket)",
        server: Server::Tungstenite,
        ways: &[(Http1, false), (Http2, false), (Http1, true), (Http2, true)],
        checks: &[
            check("text", 100, "texts that are each answered before the next is sent"),
            check("binary", 1 << 20, "bytes in one message, there and back"),
            check("ping", 20, "pings of either side that are answered"),
            check("order", 1_000, "messages in order, none of which waits for an answer"),
            check("close", 2, "closes with code and reason, by the client and by the server"),
            check("many", 100, "open at once"),
        ],
    },
];

impl BuiltClient {
    /// Has it do everything.
    ///
    /// # Errors
    /// What is not as it must be.
    pub(super) fn run(
        &self,
        lab: &Path,
        site: &Site,
        (version, secure): (Version, bool),
        towards: Towards,
    ) -> Result<(), String> {
        let authority = site.authority().display().to_string();
        let arguments = if self.server == Server::Tonic {
            vec!["grpc".to_owned(), site.calls(secure, towards), authority, site.calls_direct()]
        } else {
            let version = if version == Http1 { "h1" } else { "h2" };
            let address = site.address(secure, self.server, towards);
            vec!["websocket".to_owned(), version.to_owned(), address, authority]
        };
        let output = Command::new("timeout")
            .args([LONGEST.as_ref(), lab.as_os_str()])
            .args(&arguments)
            .output()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let told = everything(&output);
        match judge(&told, &towards.to_string(), self.checks) {
            Ok(()) if output.status.success() => Ok(()),
            Ok(()) => Err(format!("{}: {}", output.status, end(&told))),
            Err(wrong) => Err(format!("{wrong} ({}: {})", output.status, end(&told))),
        }
    }

    /// What it does on each way, one item a line.
    pub(super) fn does(&self) -> Vec<String> {
        self.checks.iter().map(|check| format!("- {} {}", grouped(check.count), check.what)).collect()
    }
}

/// Whether the client has counted what it must, and the server was spoken to `towards`.
fn judge(told: &str, towards: &str, checks: &[Check]) -> Result<(), String> {
    let has = |wanted: &str| told.lines().any(|line| line == wanted);
    if !has(&format!("server {towards}")) {
        return Err(format!("the server does not say that it was spoken to with {towards}"));
    }
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| !has(&format!("ok {} {}", check.name, check.count)))
        .map(|check| check.name)
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("not as it must be: {}", failed.join(", "))) }
}

/// `8388608` as `8,388,608`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Builds `labs/clients`, and says where its program is.
pub(super) fn program(root: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let directory = target(root).join("labs");
    let status = Command::new(cargo)
        .args(["build", "--locked", "--manifest-path", MANIFEST, "--target-dir"])
        .arg(&directory)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        Ok(directory.join("debug/clients-lab"))
    } else {
        Err("labs/clients does not build".into())
    }
}

/// The target directory that everything here shares.
pub(super) fn target(root: &Path) -> PathBuf {
    let told = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(told)
}

/// Which versions of the libraries met.
pub(super) fn versions(root: &Path) -> Result<Vec<String>, String> {
    let lock = std::fs::read_to_string(root.join(LOCK)).map_err(|error| format!("{LOCK}: {error}"))?;
    ["tonic", "hyper", "tokio-tungstenite", "rustls", "ring"]
        .into_iter()
        .map(|name| {
            let version = locked(&lock, name).ok_or_else(|| format!("{LOCK} has no {name}"))?;
            Ok(format!("{name} {version}"))
        })
        .collect()
}

/// The version of a package in a lock file.
fn locked<'l>(lock: &'l str, name: &str) -> Option<&'l str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|&line| line != wanted).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: [Check; 2] = [check("text", 100, "texts"), check("ping", 20, "pings")];

    #[test]
    fn a_client_that_has_counted_everything_is_believed() {
        assert_eq!(judge("server HTTP/2\nok text 100\nok ping 20\n", "HTTP/2", &CHECKS), Ok(()));
    }

    #[test]
    fn a_wrong_count_a_missing_check_and_a_wrong_protocol_are_seen() {
        let failed = |told| judge(told, "HTTP/2", &CHECKS).unwrap_err();
        assert_eq!(failed("server HTTP/2\nok text 99\nok ping 20"), "not as it must be: text");
        assert_eq!(failed("server HTTP/2\nok text 100\nfailed ping: no answer"), "not as it must be: ping");
        assert_eq!(failed("server HTTP/2\nok text 1000\nok ping 200"), "not as it must be: text, ping");
        let other = "the server does not say that it was spoken to with HTTP/2";
        assert_eq!(failed("server HTTP/2 over TLS\nok text 100\nok ping 20"), other);
        assert_eq!(failed(""), other);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([7, 100, 1_000, 8_388_608].map(grouped), ["7", "100", "1,000", "8,388,608"]);
    }

    #[test]
    fn the_version_is_that_of_the_package_itself() {
        let lock = "name = \"tonic-build\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"tonic\"\nversion = \"0.2.3\"\n";
        assert_eq!(locked(lock, "tonic"), Some("0.2.3"));
        assert_eq!(locked(lock, "hyper"), None);
    }
}
