//! Ten thousand malformed and foreign advertisements a second, from a third host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, sendto, socket_with, sockopt,
};

use super::node::{Node, cpu_time};
use super::pair::{Family, Pair, Timing};

const A_SECOND: u32 = 10_000;
const TIME: Duration = Duration::from_secs(10);
/// What may be spent on it, of one core.
const MOST_CPU: f64 = 0.20;

/// IPv4 and then IPv6.
pub(super) fn run(program: &Path) -> Result<(), String> {
    let timing = Timing { version: 3, interval: Duration::from_millis(100) };
    let pair = Pair::start(timing, program);
    pair.settle();
    let mut wrong = Vec::new();
    for family in [Family::V4, Family::V6] {
        wrong.extend(of_family(&pair, family)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn of_family(pair: &Pair, family: Family) -> Result<Vec<String>, String> {
    let nodes: Vec<&Node> = [&pair.a, &pair.b].into_iter().flatten().collect();
    let mut before = Vec::new();
    for node in &nodes {
        before.push((cpu_time(node.role("ha")?), states(node)?, node.lines().len()));
    }
    let begun = Instant::now();
    let sent =
        pair.client.inside(|| send(family)).map_err(|error| format!("the flood cannot be sent: {error}"))?;
    let lasted = begun.elapsed().as_secs_f64();
    println!("{}: {sent} messages in {lasted:.1} s, {:.0} a second", family.name(), f64::from(sent) / lasted);
    let mut wrong = Vec::new();
    for ((node, name), (cpu, states_before, seen)) in nodes.iter().zip(["first", "second"]).zip(before) {
        let share = (cpu_time(node.role("ha")?) - cpu).as_secs_f64() / lasted;
        let after = states(node)?;
        println!("  {name} node: {:.1} % of a core; {after:?}", share * 100.0);
        let lines = node.lines().split_off(seen);
        for line in &lines {
            println!("    {line}");
        }
        for router in node.routers()? {
            println!("    {}: refused {}", router["name"], router["refused_total"]);
        }
        if share > MOST_CPU {
            wrong.push(format!("{name} node, {}: {:.1} % of a core", family.name(), share * 100.0));
        }
        if after != states_before {
            wrong.push(format!("{name} node, {}: {states_before:?} became {after:?}", family.name()));
        }
        let mut kinds: Vec<&str> =
            lines.iter().map(|line| line.split_once("Z ").map_or(line.as_str(), |found| found.1)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < lines.len() {
            wrong.push(format!("{name} node, {}: a line came twice", family.name()));
        }
    }
    Ok(wrong)
}

/// State and how often each router has become active.
fn states(node: &Node) -> Result<Vec<String>, String> {
    let routers = node.routers()?;
    Ok(routers
        .iter()
        .map(|router| {
            format!("{} {}, {} times", router["name"], router["state"], router["became_active_total"])
        })
        .collect())
}

/// Evenly spread, as fast as is asked for and not faster.
fn send(family: Family) -> io::Result<u32> {
    let protocol = NonZeroU32::new(112).map(Protocol::from_raw);
    let (domain, group) = match family {
        Family::V4 => (AddressFamily::INET, IpAddr::from([224, 0, 0, 18])),
        Family::V6 => (AddressFamily::INET6, IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12])),
    };
    let sockets = [255_u32, 64]
        .map(|limit| {
            let socket = socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
            match family {
                Family::V4 => {
                    sockopt::set_ip_multicast_if(&socket, &[10, 99, 0, 9].into())?;
                    sockopt::set_ip_multicast_ttl(&socket, limit)?;
                }
                Family::V6 => {
                    let index = rustix::net::netdevice::name_to_index(&socket, "eth0")?;
                    sockopt::set_ipv6_multicast_if(&socket, index)?;
                    sockopt::set_ipv6_multicast_hops(&socket, limit)?;
                }
            }
            Ok::<_, io::Error>(socket)
        })
        .into_iter()
        .collect::<io::Result<Vec<_>>>()?;
    let messages = messages(family);
    let begun = Instant::now();
    let mut sent = 0_u32;
    while begun.elapsed() < TIME {
        let due = begun.elapsed().as_secs_f64() * f64::from(A_SECOND);
        while f64::from(sent) < due {
            let turn = sent as usize;
            // Every eighth round comes from beyond the link.
            let socket = &sockets[usize::from(turn / messages.len() % 8 == 7)];
            // A full queue on the way is a message less.
            let _ = sendto(
                socket,
                &messages[turn % messages.len()],
                SendFlags::empty(),
                &SocketAddr::new(group, 0),
            );
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(sent)
}

/// One of each kind that can be wrong.
fn messages(family: Family) -> Vec<Vec<u8>> {
    let addresses: &[u8] = match family {
        Family::V4 => &[10, 99, 0, 50],
        Family::V6 => &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50],
    };
    let message = |header: [u8; 8]| [header.as_slice(), addresses].concat();
    let mut broken = vec![
        // A wrong checksum.
        message([0x31, 51, 255, 1, 0, 10, 0xaa, 0xaa]),
        // Another version, another type.
        [message([0x21, 51, 255, 1, 0, 1, 0xaa, 0xaa]), vec![0; 8]].concat(),
        message([0x32, 51, 255, 1, 0, 10, 0xaa, 0xaa]),
        // Cut, too long, without an address, with more of them than there are.
        vec![0x31, 51],
        [message([0x31, 51, 255, 1, 0, 10, 0xaa, 0xaa]), vec![7; 13]].concat(),
        vec![0x31, 51, 255, 0, 0, 10, 0xaa, 0xaa],
        message([0x31, 51, 255, 200, 0, 10, 0xaa, 0xaa]),
        // Another virtual router, and the other protocol of this number (CARP).
        message([0x31, 77, 255, 1, 0, 10, 0xaa, 0xaa]),
        [message([0x21, 51, 0, 7, 0, 1, 0xaa, 0xaa]), vec![0x55; 28]].concat(),
    ];
    if family == Family::V4 {
        // Well made with the sums over the message only: without an interval; and a rival of the least priority, who is
        // nobody to yield to.
        broken.push(summed(message([0x31, 51, 255, 1, 0, 0, 0, 0])));
        broken.push(summed(message([0x31, 51, 1, 1, 0, 10, 0, 0])));
    }
    broken
}

/// RFC 1071 over the message.
fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let words = message.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = (!((folded & 0xffff) + (folded >> 16))).to_be_bytes();
    message[6..8].copy_from_slice(&[high, low]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_wire() {
        // The bytes of RFC 9568's sum for VRID 51, priority 150, 10 hundredths, 10.99.0.50.
        let message = summed(vec![0x31, 0x33, 0x96, 1, 0, 0x0a, 0, 0, 10, 99, 0, 50]);
        assert_eq!(message[6..8], [0x2e, 0x2c]);
    }
}
