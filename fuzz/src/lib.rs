//! What must hold of every input: the bodies of the fuzz targets, also run over the committed inputs by
//! `tests/replay.rs`. A body panics when something does not hold.

mod agent;
mod config;
mod failover;
mod found;
mod from_h2;
mod http;
mod pair;
mod proxy_header;
mod sys;
mod tls;
mod translate;

pub use agent::agent;
pub use config::config;
pub use failover::{arp, election, handover, ndp, vrrp};
pub use found::servers_document;
pub use from_h2::{frames, request_from_h2, response_to_h2};
pub use http::{body, cookie, request_head, response_head, uri};
pub use pair::pair;
pub use proxy_header::proxy_header;
pub use sys::netlink;
pub use tls::tls_hello;
pub use translate::{grpc_health, request_to_h2, response_from_h2};

/// The name of a target and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("agent", agent),
    ("arp", arp),
    ("body", body),
    ("config", config),
    ("election", election),
    ("grpc_health", grpc_health),
    ("frames", frames),
    ("handover", handover),
    ("pair", pair),
    ("ndp", ndp),
    ("netlink", netlink),
    ("request_from_h2", request_from_h2),
    ("request_head", request_head),
    ("request_to_h2", request_to_h2),
    ("response_from_h2", response_from_h2),
    ("response_head", response_head),
    ("response_to_h2", response_to_h2),
    ("servers_document", servers_document),
    ("uri", uri),
    ("cookie", cookie),
    ("proxy_header", proxy_header),
    ("tls_hello", tls_hello),
    ("vrrp", vrrp),
];
