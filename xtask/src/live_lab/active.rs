//! The same reloads, or upgrades, on the active one of two nodes: the address must not go away for a moment.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use evenkeel_testkit::{needs, needs_root};

use super::page::Part;
use crate::failover_lab::{Node, Pair, Timing};

const RELOADS: u32 = 100;
const UPGRADES: u32 = 10;
/// The client goes on for so long after the last one.
const TAIL: Duration = Duration::from_millis(1500);
/// Short enough that a node which is held up for a third of a second loses the address.
const TIMING: Timing = Timing { version: 3, interval: Duration::from_millis(100) };

pub(super) fn of_reloads(program: &Path) -> Result<Part, String> {
    let what = format!("reloaded {RELOADS} times (weights, servers, routes, listeners)");
    probed(program, "Reloads on the active node", &what, |pair, node| {
        (1..=RELOADS).try_for_each(|turn| node.reload(&text(&pair.first_configuration(&[]), turn)))
    })
}

pub(super) fn of_upgrades(program: &Path) -> Result<Part, String> {
    let what = format!("upgraded {UPGRADES} times to the same program");
    probed(program, "Upgrades of the active node", &what, |_, node| {
        (1..=UPGRADES).try_for_each(|_| node.command(&["upgrade"]).map(drop))
    })
}

fn probed(
    program: &Path,
    title: &str,
    what: &str,
    change: impl Fn(&Pair, &Node) -> Result<(), String>,
) -> Result<Part, String> {
    if !(needs_root() && needs("ip") && needs("nft") && needs("chrt")) {
        return Err("this part needs root, `ip`, `nft` and `chrt`".into());
    }
    let mut part = Part::new(
        title,
        format!(
            "Two nodes with IPv4 and IPv6 virtual addresses, advertised each {:?}, in network namespaces. The active one is \
             {what}, while a client asks each address for an echo every 2 ms and for a TCP connection every 5 ms.",
            TIMING.interval
        ),
    );
    let pair = Pair::start(TIMING, program);
    pair.settle();
    let (Some(first), Some(second)) = (&pair.a, &pair.b) else { return Err("a node is missing".into()) };
    let before = (elections(first)?, elections(second)?);
    let probes = pair.probe();
    change(&pair, first)?;
    std::thread::sleep(TAIL);
    for (one, family) in probes.into_iter().zip(TIMING.families()) {
        let (echo, connect) = (one.echo.stop(), one.connect.stop());
        for (what, seen) in [("ping", echo), ("TCP", connect)] {
            let lost = seen.sent - seen.answered;
            let longest = seen.longest();
            let text = format!("{longest:.0?} ({lost} of {} lost)", seen.sent);
            part.judge(&format!("{} outage, {what}", family.name()), text, longest.is_zero());
        }
    }
    let after = (elections(first)?, elections(second)?);
    part.judge("transitions at the active node", (after.0 - before.0).to_string(), after.0 == before.0);
    part.judge("transitions at the other node", (after.1 - before.1).to_string(), after.1 == before.1);
    Ok(part)
}

/// How often routers of this node have become active.
fn elections(node: &Node) -> Result<u64, String> {
    Ok(node.routers()?.iter().filter_map(|router| router["became_active_total"].as_u64()).sum())
}

/// The node's configuration with what differs in this turn.
fn text(usual: &str, turn: u32) -> String {
    let server = "webserver01 = \"127.0.0.1:9\"\n";
    let mut servers = format!("webserver01 = {{ address = \"127.0.0.1:9\", weight = {} }}\n", 1 + turn % 5);
    if turn % 2 == 1 {
        servers.push_str("webserver02 = \"127.0.0.1:10\"\n");
    }
    let mut text = usual.replace(server, &servers);
    text.push_str("[pool.other.servers]\nother = \"127.0.0.1:11\"\n");
    if !turn.is_multiple_of(3) {
        let _ = write!(
            text,
            "[listener.extra]\nbind = \"127.0.0.1:{}\"\npool = \"other\"\n\
             [[listener.extra.route]]\npath-prefix = \"/{turn}/\"\npool = \"website\"\n",
            8000 + turn % 3
        );
    }
    text
}
