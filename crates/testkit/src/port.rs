//! Ports that nobody else uses.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

/// Below the range from which Linux takes the source ports of connections (32768 and up), so that a load generator
/// cannot take a port between the moment it is found free and the moment the program under test binds it.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// The locks of the ports given out, held until the process ends: tests of other processes look for ports too.
static TAKEN: Mutex<Vec<(u16, Option<File>)>> = Mutex::new(Vec::new());

/// A TCP port that is free on 127.0.0.1 and ::1 and is never given out twice, to no test of any process.
#[must_use]
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let width = u32::from(PORTS.end - PORTS.start);
    let first = std::process::id().wrapping_mul(101) % width;
    for step in 0..width {
        let offset = u16::try_from((first + step) % width).expect("an offset below the width");
        let port = PORTS.start + offset;
        if taken.iter().any(|(other, _)| *other == port) {
            continue;
        }
        let Ok(lock) = lock(port) else { continue };
        taken.push((port, lock));
        if is_free(port) {
            return port;
        }
    }
    panic!("no free port from {} to {}", PORTS.start, PORTS.end);
}

/// `127.0.0.1` with a [`free_port`].
#[must_use]
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// `Err` when another process has it; `Ok(None)` when locks cannot be had here at all.
fn lock(port: u16) -> Result<Option<File>, std::fs::TryLockError> {
    let directory = std::env::temp_dir().join("evenkeel-ports");
    let file =
        std::fs::create_dir_all(&directory).and_then(|()| File::create(directory.join(port.to_string())));
    let Ok(file) = file else { return Ok(None) };
    file.try_lock()?;
    Ok(Some(file))
}

fn is_free(port: u16) -> bool {
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let v6_is_free = match &v6 {
        Ok(_) => true,
        // A machine without IPv6.
        Err(error) => error.kind() == std::io::ErrorKind::AddrNotAvailable,
    };
    v6_is_free && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_can_be_bound() {
        let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        for &port in &ports {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
