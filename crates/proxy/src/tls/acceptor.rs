//! What a listener shakes hands with: built from the plan and from what the supervisor has read.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::keys::CIPHER_SUITES;
use evenkeel_config::plan;
use evenkeel_traffic::name::Name;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, Error, HandshakeKind, ServerConfig};
use tokio::time::Instant;

use super::block::Block;
use super::choose::Chooser;
use super::client_certificate;
use super::examine;
use super::material::Material;
use super::opening;
use super::session::Session;
use super::stream::TlsStream;
use super::tickets::{Ticketer, Tickets};
use super::words;
use crate::stream::Stream;

/// What a listener with `mode = "http"` speaks over TLS (RFC 7301), the preferred first.
pub(crate) const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// By the name of the listener.
pub(crate) type Acceptors = BTreeMap<Name, Arc<Acceptor>>;

/// TLS of one listener under one plan.
#[derive(Debug)]
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
    /// The same in the client's order, for those that prefer ChaCha20; `None` when the operator has chosen the suites.
    for_chacha: Option<Arc<ServerConfig>>,
    timeout: Duration,
    pub(crate) most: u32,
    plan: plan::Tls,
    material: Material,
}

/// Says whether a listener's TLS would work.
///
/// # Errors
/// Why it would not, and what to do.
pub fn check(name: &Name, plan: &plan::Listener, material: &Material) -> Result<(), String> {
    match &plan.tls {
        Some(tls) => Acceptor::new(name, tls, protocols(plan), material, &Arc::default()).map(drop),
        None => Ok(()),
    }
}

/// What a listener speaks over TLS; empty leaves it to clients.
pub(crate) fn protocols(plan: &plan::Listener) -> &'static [&'static [u8]] {
    match plan.mode {
        plan::Mode::Http(ref mode) if mode.http2 => HTTP_PROTOCOLS,
        plan::Mode::Http(_) => &HTTP_PROTOCOLS[1..],
        plan::Mode::Tcp(_) => &[],
    }
}

impl Acceptor {
    pub(crate) fn new(
        listener: &Name,
        plan: &plan::Tls,
        protocols: &[&[u8]],
        material: &Material,
        tickets: &Arc<Tickets>,
    ) -> Result<Self, String> {
        let certificates =
            material.certificates.iter().map(examine::certificate).collect::<Result<Vec<_>, _>>()?;
        let provider = words::provider(&plan.cipher_suites, &plan.curves);
        let versions = words::versions(&plan.versions);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| format!("these versions, suites and curves cannot be used together: {error}"))?;
        let required = plan.client_auth.as_ref().is_some_and(|auth| auth.required);
        let builder = match (&plan.client_auth, &material.clients) {
            (None, _) => builder.with_no_client_auth(),
            (Some(_), Some(clients)) => {
                builder.with_client_cert_verifier(examine::verifier(clients, required, provider)?)
            }
            (Some(_), None) => return Err("the authorities of clients were not read".into()),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chooser::new(&certificates, plan.strict_sni)));
        config.ignore_client_order = true;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ticketer =
            Arc::new(Ticketer::new(tickets.clone(), listener.as_str(), material.clients.as_ref(), required));
        // Tickets do the same, for all workers, and cost no memory.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        // Each connection brings a new one, so a client that opens several at once has as many of them the next time.
        config.send_tls13_tickets = 1;
        let for_chacha = plan.cipher_suites.iter().eq(CIPHER_SUITES).then(|| {
            let mut config = config.clone();
            config.ignore_client_order = false;
            Arc::new(config)
        });
        Ok(Self {
            config: Arc::new(config),
            for_chacha,
            timeout: plan.handshake_timeout,
            most: plan.max_handshakes.into(),
            plan: plan.clone(),
            material: material.clone(),
        })
    }

    /// Says whether the same would come out of these.
    pub(crate) fn is_of(&self, plan: &plan::Tls, protocols: &[&[u8]], material: &Material) -> bool {
        self.plan == *plan && self.material == *material && self.config.alpn_protocols == protocols
    }

    /// Shakes hands with a client, in the time that it has for that. Remembers the name that it asks for if `wants_name`.
    pub(crate) async fn accept(
        &self,
        mut socket: Stream,
        wants_name: bool,
    ) -> Result<(Stream, HandshakeKind), Failure> {
        let end = Instant::now() + self.timeout;
        let mut first = Block::default();
        let hello = match tokio::time::timeout_at(end, opening::hello(&mut socket, &mut first)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return Err(Failure::of(&error)),
            Err(_) => {
                socket.reset_on_close();
                return Err(Failure::Timeout);
            }
        };
        let config = self.for_chacha.as_ref().filter(|_| hello.prefers_chacha).unwrap_or(&self.config);
        let session = UnbufferedServerConnection::new(config.clone()).map_err(|_| Failure::Other)?;
        let mut stream = TlsStream::after(first, socket, Session::OfServer(session));
        if wants_name {
            stream.asked = hello.server_name.unwrap_or_default().into();
        }
        let shake = async {
            poll_fn(|cx| stream.poll_handshake(cx)).await?;
            if stream.leaves_tickets() && !stream.has_waiting() {
                // Whatever else has arrived meanwhile is seen by this, and costs nobody time.
                tokio::task::yield_now().await;
            }
            poll_fn(|cx| stream.poll_last_flight(cx)).await
        };
        match tokio::time::timeout_at(end, shake).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failure::of(&error)),
            Err(_) => {
                stream.cut();
                return Err(Failure::Timeout);
            }
        }
        let kind = stream.session().handshake_kind().unwrap_or(HandshakeKind::Full);
        if let Some(first) = stream.session().peer_certificates().and_then(<[_]>::first) {
            stream.client_certificate = client_certificate::headers(first);
        }
        Ok((Stream::Tls(Box::new(stream)), kind))
    }
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It took longer than `handshake-timeout`.
    Timeout,
    /// As many as `max-handshakes` were under way.
    TooMany,
    /// The client has ended the connection.
    Closed,
    /// What came is no TLS.
    NotTls,
    /// No version, cipher suite, curve or protocol is common.
    NothingCommon,
    /// No certificate has the name that the client asks for, and unknown names are refused.
    UnknownName,
    /// The client has no certificate, or one that does not hold.
    ClientCertificate,
    /// The client does not take our certificate, or has sent another alert.
    RefusedByClient,
    /// Something else.
    Other,
}

impl Failure {
    /// All of them: the number of each is its place.
    pub(crate) const ALL: [Self; 9] = [
        Self::Timeout,
        Self::TooMany,
        Self::Closed,
        Self::NotTls,
        Self::NothingCommon,
        Self::UnknownName,
        Self::ClientCertificate,
        Self::RefusedByClient,
        Self::Other,
    ];

    /// The word in metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::TooMany => "too-many",
            Self::Closed => "closed",
            Self::NotTls => "not-tls",
            Self::NothingCommon => "nothing-common",
            Self::UnknownName => "unknown-name",
            Self::ClientCertificate => "client-certificate",
            Self::RefusedByClient => "refused-by-client",
            Self::Other => "other",
        }
    }

    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
            return Self::Closed;
        };
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::NothingCommon,
            Error::NoCertificatesPresented
            | Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_) => Self::ClientCertificate,
            // The library's words for a name that we have nothing for.
            Error::General(text) if text.contains("no server certificate chain") => Self::UnknownName,
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::Closed,
            Error::AlertReceived(_) => Self::RefusedByClient,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
        }
    }
}
