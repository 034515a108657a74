//! Finds out which program listens on an address, for the error that says so.
//!
//! Best effort: `/proc/net/tcp` names the socket, `/proc/PID/fd` the program that holds it. Without the right to look
//! into another user's process the answer is `None`.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The most processes that are looked at: this runs while an operator waits for an error message.
const MOST_PROCESSES: usize = 20_000;
/// The state LISTEN as `/proc/net/tcp` writes it.
const LISTEN: &str = "0A";

/// `name (pid N)` of a program that listens on `address` or on the wildcard of its port.
pub(super) fn of_tcp_listener(address: SocketAddr) -> Option<String> {
    let table = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let text = fs::read_to_string(table).ok()?;
    let sockets: Vec<String> = text
        .lines()
        .skip(1)
        .filter_map(|line| listening(line, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let holds_one = |process: &fs::DirEntry| {
        fs::read_dir(process.path().join("fd")).is_ok_and(|descriptors| {
            descriptors
                .flatten()
                .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
                .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
        })
    };
    fs::read_dir("/proc").ok()?.flatten().take(MOST_PROCESSES).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        if !holds_one(&process) {
            return None;
        }
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (pid {pid})", name.trim_end()))
    })
}

/// The inode of the socket in this line of the table, if it listens where `address` wants to.
fn listening(line: &str, address: SocketAddr) -> Option<&str> {
    let mut columns = line.split_ascii_whitespace();
    let local = columns.nth(1)?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16).ok()? == address.port();
    let wildcard = |ip: &str| ip.bytes().all(|digit| digit == b'0');
    let same_ip = address.ip().is_unspecified() || wildcard(ip) || ip == in_table(address.ip());
    // After the state: queues, timer, retransmissions, user, timeout, inode.
    (same_port && same_ip).then(|| columns.nth(5)).flatten()
}

/// An address as the table writes it: words of four bytes in the machine's own order.
fn in_table(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.as_chunks::<4>().0.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48213 1 0000000000000000 100 0 0 10 0";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listening_socket_is_found_by_its_address() {
        assert_eq!(listening(LINE, "127.0.0.1:8080".parse().unwrap()), Some("48213"));
        assert_eq!(listening(LINE, "0.0.0.0:8080".parse().unwrap()), Some("48213"));
        assert_eq!(listening(LINE, "127.0.0.2:8080".parse().unwrap()), None);
        assert_eq!(listening(LINE, "127.0.0.1:8081".parse().unwrap()), None);
    }

    #[test]
    fn other_states_and_broken_lines_are_passed_over() {
        let established = LINE.replace(" 0A ", " 01 ");
        assert_eq!(listening(&established, "127.0.0.1:8080".parse().unwrap()), None);
        assert_eq!(listening("", "127.0.0.1:8080".parse().unwrap()), None);
        assert_eq!(listening("1: x 0A", "127.0.0.1:8080".parse().unwrap()), None);
    }
}
