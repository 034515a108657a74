//! The records of `tls` and `hsts`.

use std::time::Duration;

use super::{MOST_CONNECTIONS, TIMEOUT, key};
use crate::keys::{CIPHER_SUITES, CURVES, Default, Key, Kind, Section, TLS_VERSIONS};

/// How long browsers may be told to come over TLS only.
const LONG_AGE: Kind =
    Kind::Time { least: Duration::ZERO, most: Duration::from_secs(10 * 365 * 24 * 60 * 60) };

pub(super) const KEYS: &[Key] = &[
    key(
        Section::Listener,
        "proxy-protocol",
        Kind::Table(Section::ProxyProtocol),
        Default::Nothing("nobody is believed to speak for others"),
    )
    .says("Proxies in front say who the client is.", "proxy-protocol = { from = \"192.0.2.0/24\" }"),
    key(Section::ProxyProtocol, "from", Kind::Networks { may_be_empty: false }, Default::Required).says(
        "Networks or addresses of the proxies whose word counts; on a unix socket everybody's does. From anyone else a header is \
         no header but bytes of the client.",
        "from = [\"192.0.2.0/24\", \"2001:db8::1\"]",
    ),
    key(Section::ProxyProtocol, "mode", Kind::Word(&["required", "optional"]), Default::Value("required")).says(
        "`\"required\"` closes a connection from these networks that does not begin with a header; with `\"optional\"` it is \
         taken for a client. Either way one with a broken header is closed.",
        "mode = \"optional\"",
    ),
    key(Section::Route, "sni", Kind::Hosts, Default::Nothing("any name, or none")).says(
        "With `mode = \"tcp\"`: the name of the server in the client's TLS hello, which is read without being decrypted, or which came in \
         the handshake when the listener has `tls`: a name, or `*.example.com` for every name below. A client that sends no hello within \
         three seconds has none.",
        "sni = [\"www.example.com\", \"*.shop.example.com\"]",
    ),
    key(Section::Tls, "certificates", Kind::DirectoryOrList(Section::Certificate), Default::Required).says(
        "The certificates: a list, or a directory. The name that a client asks for (SNI) chooses: one that has this very name, \
         else one with a wildcard for it, else the first of the list. Of several with the same name (RSA and ECDSA) the client \
         gets one that it understands, ECDSA first. In a directory each `NAME.pem` or `NAME.crt` is a certificate; its key is in \
         the same file or in `NAME.key`, an OCSP response in `NAME.ocsp`; the first is `default`, if there is one, else the \
         first in alphabetical order.",
        "certificates = \"/etc/evenkeel/certificates\"",
    ),
    key(Section::Tls, "strict-sni", Kind::Flag, Default::Value("false")).says(
        "A client that asks for a name that no certificate has, or for none, is refused; else it gets the first certificate.",
        "strict-sni = true",
    ),
    key(Section::Tls, "versions", Kind::Words(TLS_VERSIONS), Default::Nothing("TLS 1.2 and 1.3")).says(
        "The versions that are spoken. There are no older ones.",
        "versions = [\"1.3\"]",
    ),
    key(Section::Tls, "cipher-suites", Kind::Words(CIPHER_SUITES), Default::Nothing("all that are known")).says(
        "The cipher suites, in the order of preference: the first that the client knows too is spoken. Each version that is \
         spoken needs one. Without this key those with AES-128 come first, and to clients that name ChaCha20 first, because \
         they have no instructions for AES, those with ChaCha20.",
        "cipher-suites = [\"TLS13_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]",
    ),
    key(
        Section::Tls,
        "curves",
        Kind::Words(CURVES),
        Default::Nothing("`X25519MLKEM768`, `X25519`, `P-256`, `P-384`"),
    )
    .says(
        "The key exchanges, in the order of preference. `X25519MLKEM768` withstands quantum computers and is for TLS 1.3 only.",
        "curves = [\"X25519\", \"P-256\"]",
    ),
    key(Section::Tls, "handshake-timeout", TIMEOUT, Default::Value("10s")).says(
        "How long a client may take for the whole handshake. Then its connection is closed.",
        "handshake-timeout = \"5s\"",
    ),
    key(
        Section::Tls,
        "max-handshakes",
        Kind::Count { least: 1, most: MOST_CONNECTIONS, auto: false },
        Default::Value("4096"),
    )
    .says(
        "Handshakes at once on this listener. Connections beyond are closed at once, before they cost anything.",
        "max-handshakes = 500",
    ),
    key(
        Section::Tls,
        "client-auth",
        Kind::Table(Section::ClientAuth),
        Default::Nothing("clients are asked for no certificate"),
    )
    .says("Certificates of clients.", "client-auth = { ca = \"/etc/evenkeel/clients.pem\" }"),
    key(Section::Certificate, "certificate", Kind::File, Default::Required).says(
        "The certificate and its chain as PEM, the certificate first. The file may hold the key as well.",
        "certificate = \"/etc/evenkeel/www.pem\"",
    ),
    key(Section::Certificate, "key", Kind::File, Default::Nothing("the key is in the file of the certificate")).says(
        "The key as PEM (PKCS#8, PKCS#1 or SEC1), without a passphrase. A file with a key must belong to root or the user who \
         starts the program, and others may not read it.",
        "key = \"/etc/evenkeel/www.key\"",
    ),
    key(Section::Certificate, "ocsp", Kind::File, Default::Nothing("nothing is stapled")).says(
        "An OCSP response (DER) that clients get along with the certificate.",
        "ocsp = \"/etc/evenkeel/www.ocsp\"",
    ),
    key(Section::ClientAuth, "ca", Kind::File, Default::Required).says(
        "The authorities as PEM, one of which must have signed a client's certificate.",
        "ca = \"/etc/evenkeel/clients.pem\"",
    ),
    key(Section::ClientAuth, "mode", Kind::Word(&["require", "request"]), Default::Value("require")).says(
        "`\"require\"` refuses clients without a certificate; with `\"request\"` they come in, and servers see that the headers \
         are missing. A certificate that does not hold is refused either way.",
        "mode = \"request\"",
    ),
    key(Section::ClientAuth, "crl", Kind::File, Default::Nothing("nothing is revoked")).says(
        "Lists of revoked certificates as PEM. With it every authority that signs clients needs its list in the file; one without \
         is not trusted. A list that is out of date still counts.",
        "crl = \"/etc/evenkeel/clients.crl\"",
    ),
    key(Section::Hsts, "max-age", LONG_AGE, Default::Required).says(
        "How long a browser comes over TLS only, from its last answer on. `\"0s\"` lets it forget.",
        "max-age = \"365d\"",
    ),
    key(Section::Hsts, "include-subdomains", Kind::Flag, Default::Value("false")).says(
        "It holds for every name below this one as well.",
        "include-subdomains = true",
    ),
    key(Section::Hsts, "preload", Kind::Flag, Default::Value("false")).says(
        "The name may go into the lists that browsers bring along. It is hard to get out of them.",
        "preload = true",
    ),
];
