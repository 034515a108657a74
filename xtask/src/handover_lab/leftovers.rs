//! What many failovers leave behind: it should be nothing.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_testkit::WebSocket;
use evenkeel_testkit::lab::Host;

use super::Part;
use super::site::{ADDRESSES, PLAIN, Site};

/// Connections that are there in every move.
const HELD: usize = 4;
/// Memory that a role may have more than before, in KiB: allocators keep some.
const MORE_MEMORY: u64 = 2048;
/// Failovers before the first look: what is made once and kept is no leftover.
const WARM: usize = 10;

pub(super) fn run(program: &Path, moves: usize) -> Result<Part, String> {
    let site = Site::start(program)?;
    let mut wrong = Vec::new();
    rounds(&site, WARM)?;
    let before = [0, 1].map(|at| look(&site, at));
    rounds(&site, moves)?;
    let after = [0, 1].map(|at| look(&site, at));
    let mut text = format!(
        "{moves} failovers, each with {HELD} open WebSockets, compared with before:\n\n| what | first node | second node |\n|---|---|---|\n"
    );
    for what in before[0].keys() {
        let cells = [0, 1].map(|at| {
            let (was, is) = (&before[at][what], &after[at].get(what).cloned().unwrap_or_default());
            let memory = what.ends_with("KiB");
            let numbers = (was.parse::<u64>(), is.parse::<u64>());
            let grown =
                matches!(numbers, (Ok(was), Ok(is)) if is > was + if memory { MORE_MEMORY } else { 0 });
            if grown || (numbers.0.is_err() && was != is) {
                wrong.push(format!(
                    "{what} of the {} node: {was} before, {is} after",
                    ["first", "second"][at]
                ));
            }
            match numbers {
                (Ok(was), Ok(is)) => format!("{was} → {is}"),
                _ if was == is => "the same".to_owned(),
                _ => "another".to_owned(),
            }
        });
        text += &format!("| {what} | {} | {} |\n", cells[0], cells[1]);
    }
    Ok(Part { title: "What is left over", text, wrong })
}

fn rounds(site: &Site, moves: usize) -> Result<(), String> {
    for number in 0..moves {
        let mut held = site.client.inside(|| {
            (0..HELD)
                .map(|number| WebSocket::connect((ADDRESSES[number % 2], PLAIN).into(), "/socket"))
                .collect::<std::io::Result<Vec<_>>>()
                .map_err(|error| error.to_string())
        })?;
        let said = site.fail_over(number % 2)?;
        if !said.contains(&format!("{HELD} connections go on")) {
            return Err(format!("failover {number}: {said}\n{}", site.logs()));
        }
        for socket in &mut held {
            socket.echo("there?").map_err(|error| format!("failover {number}: {error}\n{}", site.logs()))?;
        }
        drop(held);
        site.drained()?;
    }
    Ok(())
}

/// Everything that a move changes, as text.
fn look(site: &Site, at: usize) -> BTreeMap<String, String> {
    let (host, node) = (&site.hosts[at], &site.nodes[at]);
    let mut found = BTreeMap::new();
    let says = |program: &str, words: &[&str]| run_in(host, program, words);
    found.insert("rules of nftables".into(), says("nft", &["list", "ruleset"]));
    found.insert("addresses of `lo`".into(), addresses(&says("ip", &["-o", "addr", "show", "lo"])));
    found.insert("links".into(), says("ip", &["-o", "-br", "link"]));
    found.insert("routes, IPv4".into(), says("ip", &["route"]));
    found.insert("rules of routing".into(), says("ip", &["rule"]));
    found.insert(
        "settings".into(),
        says("sysctl", &["-a", "--pattern", "net\\.ipv[46]\\.conf|net\\.ipv4\\.tcp"]),
    );
    let tracked = host.inside(|| std::fs::read_to_string("/proc/self/net/nf_conntrack").unwrap_or_default());
    found.insert("connections that are tracked".into(), tracked.lines().count().to_string());
    for role in ["ha", "pair", "proxy", "admin"] {
        let Ok(id) = node.role(role) else { continue };
        let id = id.as_raw_nonzero();
        let open = std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        found.insert(format!("open files of the {role} role"), open.to_string());
        let memory = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let resident = memory.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.split_whitespace().next()).unwrap_or("0").to_owned();
        found.insert(format!("memory of the {role} role, KiB"), kib);
    }
    found
}

/// Without the lifetimes, which count down.
fn addresses(text: &str) -> String {
    let addresses = text.lines().filter_map(|line| line.split_whitespace().nth(3));
    addresses.collect::<Vec<_>>().join(" ")
}

fn run_in(host: &Host, program: &str, words: &[&str]) -> String {
    let output = host.command(program).args(words).output();
    output
        .map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}
