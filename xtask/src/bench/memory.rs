//! What proxies hold: at start, and for connections that wait for a next request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::peers::{Peer, Place, Proxy, Site, movers};
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
    /// The same over TLS.
    pub(super) per_tls_connection: u64,
}

pub(super) fn measure(site: &Site) -> Result<Vec<Memory>, String> {
    let mut found = Vec::new();
    let config = client(&site.authority())?;
    for peer in Peer::ALL.into_iter().filter(|&peer| site.has(peer)) {
        let started = site.start_proxy(peer, 2, "start")?;
        let at_start_kib = memory_kib(&started.running.tree(), "Pss:");
        drop(started);
        let per_connection =
            idle(site, peer, "idle", |proxy| served(connect(proxy.port(Place::Http))?, "keep-alive"))?;
        let per_tls_connection = idle(site, peer, "idle-tls", |proxy| {
            served(secured(connect(proxy.port(Place::Tls))?, &config)?, "keep-alive")
        })?;
        let memory = Memory { peer, at_start_kib, per_connection, per_tls_connection };
        eprintln!("memory: {memory:?}");
        found.push(memory);
    }
    Ok(found)
}

/// Resident bytes for each connection that `open` opens and has served.
fn idle<T>(
    site: &Site,
    peer: Peer,
    name: &str,
    open: impl Fn(&Proxy) -> Result<T, String>,
) -> Result<u64, String> {
    let proxy = site.start_proxy(peer, 1, name)?;
    let processes = movers(peer, &proxy.running);
    for _ in 0..WARM_UP {
        drop(open(&proxy)?);
    }
    let before = memory_kib(&processes, "Rss:");
    let connections = (0..CONNECTIONS).map(|_| open(&proxy)).collect::<Result<Vec<_>, _>>()?;
    // Long enough for a proxy to give back what it keeps for a request that follows at once.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let after = memory_kib(&processes, "Rss:");
    drop(connections);
    Ok(after.saturating_sub(before) * 1024 / CONNECTIONS)
}

/// A TLS client that trusts one authority.
fn client(authority: &Path) -> Result<Arc<ClientConfig>, String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let told = |error: &dyn std::fmt::Display| format!("no TLS client: {error}");
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(|error| told(&error))?;
    roots.add(certificate).map_err(|error| told(&error))?;
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| told(&error))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

pub(super) fn connect(port: u16) -> Result<TcpStream, String> {
    let socket = TcpStream::connect(("127.0.0.1", port));
    // As browsers, curl and wrk do: a request need not wait for an acknowledgement of the handshake.
    let socket = socket.and_then(|socket| socket.set_nodelay(true).map(|()| socket));
    socket.map_err(|error| format!("no connection: {error}"))
}

pub(super) fn secured(
    socket: TcpStream,
    config: &Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let session = ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
    Ok(StreamOwned::new(session, socket))
}

/// Has a connection served one request, which says what is to become of it: `keep-alive` or `close`.
pub(super) fn served<S: Read + Write>(mut connection: S, then: &str) -> Result<S, String> {
    let request = format!("GET /small HTTP/1.1\r\nHost: bench\r\nConnection: {then}\r\n\r\n");
    let serve = || {
        connection.write_all(request.as_bytes())?;
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
    serve().map_err(|error: std::io::Error| format!("a connection was not served: {error}"))
}
