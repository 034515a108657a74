//! What must hold of every input: the bodies of the fuzz targets, also run over the committed inputs by
//! `tests/replay.rs`. A body panics when something does not hold.

mod config;
mod failover;
mod http;

pub use config::config;
pub use failover::{arp, election, ndp, vrrp};
pub use http::{body, cookie, request_head, response_head, uri};

/// The name of a target and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("arp", arp),
    ("body", body),
    ("config", config),
    ("election", election),
    ("ndp", ndp),
    ("request_head", request_head),
    ("response_head", response_head),
    ("uri", uri),
    ("cookie", cookie),
    ("vrrp", vrrp),
];
