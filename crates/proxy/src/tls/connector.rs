//! What the servers of a pool are spoken to with: built from the plan and from what the supervisor has read.
//!
//! Invariants: a server is verified before it gets a byte of a request, unless the plan says that anybody is taken;
//! a session is resumed only with the server, and under the name, that it was made with.

mod verify;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_config::plan::{self, Trust};
use evenkeel_http::answer::Reason;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::name::Name;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, Error, HandshakeKind};

use super::examine;
use super::material::{Bytes, Certificates, ServerMaterial};
use super::session::Session;
use super::stream::TlsStream;
use super::words;
use crate::stream::Stream;

/// Names for which sessions are kept, for each server.
const MOST_SESSIONS: usize = 64;

/// The number of the next connector; 0 is plain text.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// By the name of the pool.
pub(crate) type Connectors = BTreeMap<Name, Arc<Connector>>;

/// TLS to the servers of one pool under one plan.
#[derive(Debug)]
pub(crate) struct Connector {
    config: ClientConfig,
    sni: Option<ServerName<'static>>,
    /// Which of all connectors it is: connections of another one are not used again.
    pub(crate) number: u64,
    plan: plan::ServerTls,
    material: ServerMaterial,
    roots: Arc<Vec<Bytes>>,
}

/// Says whether a pool's TLS would work.
///
/// # Errors
/// Why it would not, and what to do.
pub fn check(
    plan: &plan::ServerTls,
    material: &ServerMaterial,
    roots: &Arc<Vec<Bytes>>,
) -> Result<(), String> {
    Connector::new(plan, material, roots).map(drop)
}

impl Connector {
    pub(crate) fn new(
        plan: &plan::ServerTls,
        material: &ServerMaterial,
        roots: &Arc<Vec<Bytes>>,
    ) -> Result<Self, String> {
        let provider = words::provider(&plan.cipher_suites, &plan.curves);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&words::versions(&plan.versions))
            .map_err(|error| format!("these versions, suites and curves cannot be used together: {error}"))?;
        let named = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no name of a server"))
        };
        let expected = plan.verify_name.as_ref().map(named).transpose()?;
        let verifier: Arc<dyn ServerCertVerifier> = match (&plan.trust, &material.ca) {
            (Trust::Anybody, _) => Arc::new(verify::Anybody(provider)),
            (Trust::System, _) => {
                let roots = roots.iter().map(|root| CertificateDer::from(root.0.as_slice()));
                verify::verifier(verify::of_system(roots)?, None, expected, provider)?
            }
            (Trust::Authorities(_), Some(ca)) => {
                let revoked = material.crl.as_ref().map(|text| examine::revoked(text, "crl")).transpose()?;
                verify::verifier(verify::of_file(ca)?, revoked, expected, provider)?
            }
            (Trust::Authorities(_), None) => return Err("the authorities of servers were not read".into()),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &material.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder
                .with_client_cert_resolver(Arc::new(verify::Shown(examine::certificate(certificate)?.key))),
        };
        // Each server gets a store of its own; see `Towards`.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config,
            sni: plan.sni.as_ref().map(named).transpose()?,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            plan: plan.clone(),
            material: material.clone(),
            roots: roots.clone(),
        })
    }

    /// Says whether the same would come out of these.
    pub(crate) fn is_of(
        &self,
        plan: &plan::ServerTls,
        material: &ServerMaterial,
        roots: &Arc<Vec<Bytes>>,
    ) -> bool {
        let same_roots =
            plan.trust != Trust::System || Arc::ptr_eq(&self.roots, roots) || self.roots == *roots;
        self.plan == *plan && self.material == *material && same_roots
    }
}

/// TLS to one server.
#[derive(Debug)]
pub(crate) struct Towards {
    pub(crate) connector: Arc<Connector>,
    /// With the sessions of this server.
    config: Arc<ClientConfig>,
    /// What it is called when nobody names it.
    address: ServerName<'static>,
}

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    /// HTTP/2 and nothing else.
    Http2,
    /// HTTP/2 or HTTP/1, as the server chooses.
    Either,
    /// The server is told nothing.
    Anything,
}

impl Towards {
    pub(crate) fn new(connector: &Arc<Connector>, address: &Address) -> Self {
        let mut config = connector.config.clone();
        config.resumption = Resumption::in_memory_sessions(MOST_SESSIONS);
        let ip = match address {
            Address::Tcp(address) => address.ip().to_canonical(),
            Address::Unix(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        };
        Self { connector: connector.clone(), config: Arc::new(config), address: ip.into() }
    }

    /// The name for a request to `host`, if connections differ by it.
    pub(crate) fn name_of<'h>(&'h self, host: &'h [u8]) -> Option<ServerName<'h>> {
        self.connector.sni.is_none().then(|| self.asked(host))
    }

    /// Whether a handshake may have failed because of the name that a client made up: that must not be held against the
    /// server, or whoever can send a request could have every server ejected.
    pub(crate) fn blames_client(&self, speaks: Speaks, failure: Failure) -> bool {
        speaks != Speaks::Anything && self.connector.sni.is_none() && failure.may_be_the_names()
    }

    fn asked<'h>(&'h self, host: &'h [u8]) -> ServerName<'h> {
        let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
        let named = std::str::from_utf8(host).ok().and_then(|host| ServerName::try_from(host).ok());
        named.unwrap_or_else(|| self.address.clone())
    }

    /// Shakes hands with the server at the other end of `socket`. The caller bounds the time.
    pub(crate) async fn connect(
        &self,
        socket: Stream,
        host: &[u8],
        speaks: Speaks,
    ) -> Result<(Stream, HandshakeKind), Failed> {
        let name = match &self.connector.sni {
            Some(sni) => sni.clone(),
            None => self.asked(host).to_owned(),
        };
        let protocols = match speaks {
            Speaks::Http => vec![b"http/1.1".to_vec()],
            Speaks::Http2 => vec![b"h2".to_vec()],
            Speaks::Either => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Speaks::Anything => Vec::new(),
        };
        let session = UnbufferedClientConnection::new_with_alpn(self.config.clone(), name.clone(), protocols)
            .map_err(|error| Failed { failure: Failure::Other, why: error.to_string() })?;
        let mut stream = TlsStream::new(socket, Session::OfClient(session));
        let shaken = async {
            poll_fn(|cx| stream.poll_handshake(cx)).await?;
            poll_fn(|cx| stream.poll_last_flight(cx)).await
        };
        let shaken = shaken.await;
        shaken.map_err(|error| {
            let known = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            Failed { failure: Failure::of(known), why: sentence(known, &error, &name) }
        })?;
        if speaks == Speaks::Http2 && stream.session().alpn_protocol() != Some(b"h2") {
            let why = "it does not speak HTTP/2: set `protocol` of the pool to \"h1\" or \"auto\"".to_owned();
            return Err(Failed { failure: Failure::NothingCommon, why });
        }
        let kind = stream.session().handshake_kind().unwrap_or(HandshakeKind::Full);
        stream.name = self.connector.sni.is_none().then_some(name);
        Ok((Stream::Tls(Box::new(stream)), kind))
    }
}

/// A handshake that came to nothing.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// For the operator.
    pub(crate) why: String,
}

/// Why a handshake with a server came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It took longer than what was left of `connect-timeout`.
    Timeout,
    /// The server has ended the connection.
    Closed,
    /// What came is no TLS.
    NotTls,
    /// No version, cipher suite, curve or protocol is common.
    NothingCommon,
    /// The server's certificate does not hold.
    Unverified,
    /// The server does not take our certificate, or has sent another alert.
    RefusedByServer,
    /// Something else.
    Other,
}

impl Failure {
    /// All of them: the number of each is its place.
    pub(crate) const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::NothingCommon,
        Self::Unverified,
        Self::RefusedByServer,
        Self::Other,
    ];

    /// The word in metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not-tls",
            Self::NothingCommon => "nothing-common",
            Self::Unverified => "unverified",
            Self::RefusedByServer => "refused-by-server",
            Self::Other => "other",
        }
    }

    /// What a client is told when no other server was better.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Unverified => Reason::ServerUnverified,
            _ => Reason::ServerHandshake,
        }
    }

    /// Whether a name that the server does not know may have caused it.
    fn may_be_the_names(self) -> bool {
        match self {
            Self::Closed | Self::NothingCommon | Self::Unverified | Self::RefusedByServer => true,
            Self::Timeout | Self::NotTls | Self::Other => false,
        }
    }

    fn of(error: Option<&Error>) -> Self {
        match error {
            None | Some(Error::AlertReceived(AlertDescription::CloseNotify)) => Self::Closed,
            Some(Error::InvalidMessage(_)) => Self::NotTls,
            Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => Self::NothingCommon,
            Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => Self::Unverified,
            Some(Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::NoApplicationProtocol,
            )) => Self::NothingCommon,
            Some(Error::AlertReceived(_)) => Self::RefusedByServer,
            Some(_) => Self::Other,
        }
    }
}

/// What the operator reads.
fn sentence(known: Option<&Error>, error: &io::Error, name: &ServerName<'_>) -> String {
    match known {
        Some(Error::InvalidCertificate(why)) => verify::sentence(why, name),
        Some(Error::InvalidMessage(_)) => "it does not speak TLS on this port".into(),
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "it asks for a certificate: name ours with `certificate` in `tls` of the pool".into()
        }
        Some(Error::AlertReceived(alert)) => format!("it refused the TLS handshake: {alert:?}"),
        Some(error) => format!("the TLS handshake failed: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ended the connection within the TLS handshake".into()
        }
        None => format!("the connection broke within the TLS handshake: {error}"),
    }
}

/// The connectors of all pools whose servers are spoken to over TLS. What stays as it was is kept.
pub(crate) fn of_plan<'a>(
    plan: &plan::Plan,
    certificates: &Certificates,
    before: impl Fn(&Name) -> Option<&'a Arc<Connector>>,
) -> Result<Connectors, String> {
    let pools = plan.pools.iter().filter_map(|pool| Some((&pool.name, pool.tls.clone()?)));
    of_each(pools, (&certificates.pools, &certificates.roots), before)
}

/// The connectors of all pools whose document is asked for over TLS.
pub(crate) fn of_documents<'a>(
    plan: &plan::Plan,
    certificates: &Certificates,
    before: impl Fn(&Name) -> Option<&'a Arc<Connector>>,
) -> Result<Connectors, String> {
    let pools = plan.pools.iter().filter_map(|pool| Some((&pool.name, pool.document_tls()?)));
    of_each(pools, (&certificates.documents, &certificates.roots), before)
}

fn of_each<'p, 'a>(
    pools: impl Iterator<Item = (&'p Name, plan::ServerTls)>,
    (materials, roots): (&BTreeMap<Name, ServerMaterial>, &Arc<Vec<Bytes>>),
    before: impl Fn(&Name) -> Option<&'a Arc<Connector>>,
) -> Result<Connectors, String> {
    let mut connectors = BTreeMap::new();
    for (name, tls) in pools {
        let Some(material) = materials.get(name) else {
            return Err(format!("nothing was read for the TLS of pool {name}"));
        };
        let kept = before(name).filter(|kept| kept.is_of(&tls, material, roots));
        let connector = match kept {
            Some(kept) => kept.clone(),
            None => Connector::new(&tls, material, roots)
                .map(Arc::new)
                .map_err(|why| format!("pool {name}: {why}"))?,
        };
        connectors.insert(name.clone(), connector);
    }
    Ok(connectors)
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
