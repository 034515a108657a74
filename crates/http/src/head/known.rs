//! The header fields that mean something to a balancer.

/// What a field name means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `Host`.
    Host,
    /// `Connection`.
    Connection,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Expect`.
    Expect,
    /// `Upgrade`.
    Upgrade,
    /// `Keep-Alive`, `Proxy-Connection`, `TE` or `HTTP2-Settings`: for this connection only, never forwarded.
    HopByHop,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `X-Forwarded-Proto`.
    XForwardedProto,
    /// `X-Forwarded-Host`.
    XForwardedHost,
    /// Another name that starts with `X-Forwarded-`.
    XForwardedOther,
    /// `Forwarded`.
    Forwarded,
    /// A name that starts with `Client-Cert` (RFC 9440): what only a balancer may say of its client.
    ClientCertificate,
    /// Carries a message end to end, but `Connection` must not be able to take it away: `Via`, `Authorization`,
    /// `Cookie`, `Date` and the like.
    Protected,
    /// Has `_` in its name.
    Underscore,
    /// Everything else.
    Other,
}

impl Known {
    /// Classifies a field name; case does not matter.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        let known = match name.len() {
            2 => is("TE").then_some(Self::HopByHop),
            3 => is("Via").then_some(Self::Protected),
            4 if is("Host") => Some(Self::Host),
            4 => is("Date").then_some(Self::Protected),
            6 if is("Expect") => Some(Self::Expect),
            6 => is("Cookie").then_some(Self::Protected),
            7 => is("Upgrade").then_some(Self::Upgrade),
            9 => is("Forwarded").then_some(Self::Forwarded),
            10 if is("Connection") => Some(Self::Connection),
            10 if is("Keep-Alive") => Some(Self::HopByHop),
            10 => is("Set-Cookie").then_some(Self::Protected),
            13 if is("Authorization") => Some(Self::Protected),
            13 => is("Cache-Control").then_some(Self::Protected),
            14 if is("Content-Length") => Some(Self::ContentLength),
            14 => is("HTTP2-Settings").then_some(Self::HopByHop),
            15 => is("X-Forwarded-For").then_some(Self::XForwardedFor),
            16 if is("Proxy-Connection") => Some(Self::HopByHop),
            16 => is("X-Forwarded-Host").then_some(Self::XForwardedHost),
            17 if is("Transfer-Encoding") => Some(Self::TransferEncoding),
            17 => is("X-Forwarded-Proto").then_some(Self::XForwardedProto),
            _ => None,
        };
        if let Some(known) = known {
            return known;
        }
        if name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"X-Forwarded-")) {
            return Self::XForwardedOther;
        }
        if name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"Client-Cert")) {
            return Self::ClientCertificate;
        }
        if memchr::memchr(b'_', name).is_some() { Self::Underscore } else { Self::Other }
    }

    /// Says whether `Connection` may name this field as hop-by-hop. What frames the message, names its host or says
    /// who the client is stays out of its reach: removing such fields has broken other proxies' trust in their own
    /// headers.
    #[must_use]
    pub fn may_be_hop_by_hop(self) -> bool {
        matches!(self, Self::Other | Self::Underscore | Self::HopByHop)
    }
}
