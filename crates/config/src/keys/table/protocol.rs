//! The records of versions of HTTP: a listener's `http2`, a pool's `protocol`, and checks by gRPC.

use super::key;
use crate::keys::{Default, Key, Kind, Section};

pub(super) const KEYS: &[Key] = &[
    key(Section::Listener, "http2", Kind::Flag, Default::Value("true")).http_only().says(
        "Clients may speak HTTP/2: over TLS they agree on it in the handshake (ALPN), without TLS they begin with it (prior \
         knowledge). `false` leaves HTTP/1.1 only.",
        "http2 = false",
    ),
    key(Section::Pool, "protocol", Kind::Word(&["h1", "h2", "auto"]), Default::Value("h1")).says(
        "What requests are sent to servers with. `\"h1\"`: HTTP/1.1. `\"h2\"`: HTTP/2, many requests on one connection, as gRPC \
         needs it; with `tls` the server must agree to it (ALPN), without it must know beforehand. `\"auto\"`: what the server \
         chooses, which only `tls` can tell. Whatever clients speak; pools of listeners with `mode = \"tcp\"` pass bytes on.",
        "protocol = \"h2\"",
    ),
    key(Section::Health, "grpc", Kind::Service, Default::Nothing("no call is made")).says(
        "Call `grpc.health.v1.Health/Check` for this service over HTTP/2; the check passes when the answer is `SERVING`. `\"\"` asks \
         for the server as a whole. Not with `http`, `exec`, `send` or `expect`.",
        "grpc = \"shop.Cart\"",
    ),
];
