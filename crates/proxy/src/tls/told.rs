//! What servers may be told of a client's TLS, kept apart from the connection that it was found on.

use rustls::ProtocolVersion;

use super::stream::TlsStream;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The protocol that was agreed on (ALPN).
    pub(crate) protocol: Option<Box<[u8]>>,
    /// The name that the client has asked for; empty when it named none, or nobody wanted to know.
    pub(crate) asked: Box<str>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) version: &'static str,
    /// The cipher suite by the name that IANA has given it.
    pub(crate) cipher: Box<str>,
    /// Whether the client has shown a certificate.
    pub(crate) certificate: bool,
}

impl Told {
    pub(crate) fn of(tls: &TlsStream) -> Self {
        let session = tls.session();
        let suite = session.negotiated_cipher_suite();
        // The library's names of the suites of TLS 1.3 are not those of IANA.
        let cipher = suite.and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        Self {
            protocol: session.alpn_protocol().map(Box::from),
            asked: tls.asked().into(),
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher: cipher.replacen("TLS13_", "TLS_", 1).into(),
            certificate: !tls.client_certificate().is_empty(),
        }
    }
}
