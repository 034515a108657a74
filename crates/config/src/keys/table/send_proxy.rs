//! The records of a pool's `send-proxy-protocol`.

use super::key;
use crate::keys::{Default, Key, Kind, PROXY_EXTENSIONS, PROXY_VERSIONS, Section};

pub(super) const KEYS: &[Key] = &[
    key(
        Section::Pool,
        "send-proxy-protocol",
        Kind::WordOrTable(PROXY_VERSIONS, Section::SendProxyProtocol),
        Default::Nothing("servers are told nothing before the first byte"),
    )
    .says(
        "Servers are told who the client is by the PROXY protocol, before TLS if that is spoken to them. They must expect it \
         (nginx `listen … proxy_protocol`, HAProxy `accept-proxy`), and must not believe it from anyone else. Each connection then \
         belongs to one client and carries one request: there is no `keep-alive` with servers.",
        "send-proxy-protocol = \"v2\"",
    ),
    key(Section::SendProxyProtocol, "version", Kind::Word(PROXY_VERSIONS), Default::Value("v2")).says(
        "`\"v1\"` is a line of text, `\"v2\"` is binary and may have extensions.",
        "version = \"v2\"",
    ),
    key(
        Section::SendProxyProtocol,
        "extensions",
        Kind::Words(PROXY_EXTENSIONS),
        Default::Nothing("only the addresses are told"),
    )
    .says(
        "What is told beside the addresses, with version 2: `\"authority\"` is the name that the client asks for in its TLS hello, \
         `\"alpn\"` the protocol that it has agreed on with us, `\"ssl\"` its version and cipher suite of TLS and whether it has a \
         certificate that holds, `\"crc32c\"` a checksum of the header. What a client does not have is left out.",
        "extensions = [\"authority\", \"ssl\", \"crc32c\"]",
    ),
    key(Section::Health, "proxy-protocol", Kind::Flag, Default::Nothing("as the traffic of the pool")).says(
        "Whether checks begin with a header of the PROXY protocol, which says that the balancer speaks for itself. Write `false` when \
         the `port` of the checks expects none.",
        "proxy-protocol = false",
    ),
];
