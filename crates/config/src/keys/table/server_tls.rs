//! The records of a pool's `tls`.

use super::key;
use crate::keys::{CIPHER_SUITES, CURVES, Default, Key, Kind, Section, TLS_VERSIONS};

pub(super) const KEYS: &[Key] = &[
    key(Section::Pool, "tls", Kind::Table(Section::ServerTls), Default::Nothing("plain text")).says(
        "TLS to the servers of this pool. An empty table is enough for servers with certificates of public authorities.",
        "tls = { ca = \"/etc/evenkeel/servers.pem\" }",
    ),
    key(Section::ServerTls, "ca", Kind::File, Default::Nothing("the authorities that the system trusts")).says(
        "The authorities as PEM, one of which must have signed the certificate of a server. With it, those of the system \
         count no more.",
        "ca = \"/etc/evenkeel/servers.pem\"",
    ),
    key(Section::ServerTls, "crl", Kind::File, Default::Nothing("nothing is revoked")).says(
        "Lists of revoked certificates as PEM, together with `ca`. Every authority that signs servers needs its list in the file; one \
         without is not trusted. A list that is out of date still counts. A server whose certificate is revoked is not spoken to.",
        "crl = \"/etc/evenkeel/servers.crl\"",
    ),
    key(
        Section::ServerTls,
        "sni",
        Kind::Domain,
        Default::Nothing("the `Host` of the request; without one, none is sent"),
    )
    .says(
        "The name that servers are asked for (SNI), for all requests, connections and checks. Pools of listeners with \
         `mode = \"tcp\"` have no `Host`.",
        "sni = \"www.example.com\"",
    ),
    key(
        Section::ServerTls,
        "verify-name",
        Kind::Host,
        Default::Nothing("the name of `sni`; without one, the server's IP address"),
    )
    .says(
        "The name or IP address that the certificate of every server must be for, when that is another than the one that it is \
         asked for.",
        "verify-name = \"backend.internal\"",
    ),
    key(
        Section::ServerTls,
        "certificate",
        Kind::File,
        Default::Nothing("servers that ask for a certificate get none"),
    )
    .says(
        "The certificate that we show to servers that ask for one, with its chain, as PEM. The file may hold the key as well.",
        "certificate = \"/etc/evenkeel/client.pem\"",
    ),
    key(Section::ServerTls, "key", Kind::File, Default::Nothing("the key is in the file of the certificate")).says(
        "Its key as PEM (PKCS#8, PKCS#1 or SEC1), without a passphrase. A file with a key must belong to root or the user who \
         starts the program, and others may not read it.",
        "key = \"/etc/evenkeel/client.key\"",
    ),
    key(Section::ServerTls, "versions", Kind::Words(TLS_VERSIONS), Default::Nothing("TLS 1.2 and 1.3")).says(
        "The versions that are spoken. There are no older ones.",
        "versions = [\"1.3\"]",
    ),
    key(Section::ServerTls, "cipher-suites", Kind::Words(CIPHER_SUITES), Default::Nothing("all that are known")).says(
        "The cipher suites, in the order of preference. Each version that is spoken needs one.",
        "cipher-suites = [\"TLS13_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]",
    ),
    key(
        Section::ServerTls,
        "curves",
        Kind::Words(CURVES),
        Default::Nothing("`X25519MLKEM768`, `X25519`, `P-256`, `P-384`"),
    )
    .says("The key exchanges, in the order of preference.", "curves = [\"X25519\", \"P-256\"]"),
    key(Section::ServerTls, "danger-accept-any-certificate", Kind::Flag, Default::Value("false")).says(
        "**Dangerous:** whatever certificate a server shows is taken, also one that is expired, for another name, or made by \
         somebody who has put himself in between, who then reads and changes everything. `check` warns of it. Give the \
         authority with `ca` instead.",
        "danger-accept-any-certificate = true",
    ),
    key(Section::Health, "tls", Kind::Flag, Default::Nothing("as the traffic of the pool")).says(
        "Whether checks speak TLS, as the pool's `tls` says; the name asked for is `sni`, else `host`. Write `false` when the \
         `port` of the checks speaks plain text.",
        "tls = false",
    ),
];
