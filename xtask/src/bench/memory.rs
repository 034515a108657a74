//! What proxies hold: at start, and for connections that wait for a next request.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::peers::{Peer, Place, Site, movers};
use super::process::memory_kib;

/// Idle connections that are opened.
const CONNECTIONS: u64 = 5000;
/// Connections opened and closed before the first look, so that what a first request needs is not counted.
const WARM_UP: usize = 16;

/// Memory of one proxy.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) peer: Peer,
    /// PSS of all processes with two workers, in KiB.
    pub(super) at_start_kib: u64,
    /// Resident bytes for each idle connection, each of which was served one request, with one worker.
    pub(super) per_connection: u64,
}

pub(super) fn measure(site: &Site) -> Result<Vec<Memory>, String> {
    let mut found = Vec::new();
    for peer in Peer::ALL.into_iter().filter(|&peer| site.has(peer)) {
        let started = site.start_proxy(peer, 2, "start")?;
        let at_start_kib = memory_kib(&started.running.tree(), "Pss:");
        drop(started);
        let proxy = site.start_proxy(peer, 1, "idle")?;
        let processes = movers(peer, &proxy.running);
        let port = proxy.port(Place::Http);
        for _ in 0..WARM_UP {
            drop(served(port)?);
        }
        let before = memory_kib(&processes, "Rss:");
        let connections = (0..CONNECTIONS).map(|_| served(port)).collect::<Result<Vec<_>, _>>()?;
        // Long enough for a proxy to give back what it keeps for a request that follows at once.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let after = memory_kib(&processes, "Rss:");
        drop(connections);
        let per_connection = after.saturating_sub(before) * 1024 / CONNECTIONS;
        let memory = Memory { peer, at_start_kib, per_connection };
        eprintln!("memory: {memory:?}");
        found.push(memory);
    }
    Ok(found)
}

/// A connection that was served one request and stays open.
fn served(port: u16) -> Result<TcpStream, String> {
    let serve = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.write_all(b"GET /small HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut text = Vec::new();
        let mut piece = [0; 1024];
        // The body ends with what no head contains.
        while !text.ends_with(b"12345\n") {
            match connection.read(&mut piece)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => text.extend_from_slice(&piece[..count]),
            }
        }
        Ok(connection)
    };
    serve().map_err(|error: std::io::Error| format!("an idle connection was not served: {error}"))
}
