//! What a server is told about a client before its first byte (the PROXY protocol).

use std::io;
use std::net::SocketAddr;

use evenkeel_config::plan::{Probe, SendProxy};
use evenkeel_http::proxy_header::write::{self, Extensions, For, Tls};
use tokio::io::AsyncWriteExt;

use crate::listener::Counted;
use crate::stream::Stream;

/// The client for whom a connection is made.
#[derive(Clone, Copy)]
pub(crate) struct OfClient<'c> {
    pub(crate) stream: &'c Stream,
    pub(crate) counted: &'c Counted,
    /// The name in a TLS hello that passes through; empty when none was read.
    pub(crate) passing: &'c str,
}

impl OfClient<'_> {
    /// Tells a server who the client is.
    pub(crate) async fn tell(self, server: &mut Stream, form: SendProxy) -> io::Result<()> {
        let mut header = Vec::new();
        let whom = For::Client(self.addresses());
        match form {
            SendProxy::V1 => write::v1(whom, &mut header),
            SendProxy::V2(wanted) => {
                let tls = self.stream.told();
                let asked = tls.as_ref().map_or(self.passing, |tls| &tls.asked);
                let extensions = Extensions {
                    protocol: tls.as_ref().and_then(|tls| tls.protocol.as_deref()).filter(|_| wanted.alpn),
                    authority: Some(asked.as_bytes()).filter(|name| wanted.authority && !name.is_empty()),
                    tls: tls.as_ref().filter(|_| wanted.ssl).map(|tls| Tls {
                        version: tls.version,
                        cipher: &tls.cipher,
                        certificate: tls.certificate,
                    }),
                    checksum: wanted.checksum,
                };
                write::v2(whom, extensions, &mut header);
            }
        }
        server.write_all(&header).await
    }

    /// Where it comes from and where it has connected to; what a proxy in front says counts.
    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.counted.announced().or_else(|| self.stream.addresses()).map(canonical)
    }
}

/// IPv4 as such.
fn canonical((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let one = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    (one(source), one(destination))
}

/// Tells a server that a check is our own, if it is to be told.
pub(crate) async fn tell_of_check(
    server: &mut Stream,
    probe: &Probe,
    form: Option<SendProxy>,
) -> io::Result<()> {
    let mut header = Vec::new();
    match form.filter(|_| probe.announced) {
        None => return Ok(()),
        Some(SendProxy::V1) => write::v1(For::Ourselves, &mut header),
        Some(SendProxy::V2(_)) => write::v2(For::Ourselves, Extensions::default(), &mut header),
    }
    server.write_all(&header).await
}
