//! Test support that is never shipped: toy servers, programs, clients, load, and networks of namespaces.
//!
//! Everything here waits for events (a line, a connection, an exit) up to a bound, never for time to pass, and
//! panics with what it saw when the bound is reached: in a test that is the clearest answer. Programs and servers end
//! with the value that started them.

#![expect(clippy::panic, reason = "test support: a failure here is a failed test")]

mod certificates;
mod http;
pub mod http2;
mod keepalived;
pub mod lab;
mod name_server;
mod nginx;
mod port;
mod program;
pub mod sim;
mod skip;
mod toy_server;
mod websocket;
mod wrk;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

pub use certificates::{Authority, Issued};
pub use hickory_proto::rr::RecordType;
pub use http::{HttpClient, Response, raw};
pub use keepalived::{Keepalived, State, Variant, VrrpInstance};
pub use name_server::{NameServer, Over, Saying};
pub use nginx::Nginx;
pub use port::{free_address, free_port};
pub use program::{Program, tree};
pub use rustix::process::Signal;
pub use skip::{needs, needs_root, skip};
pub use tempfile::TempDir;
pub use toy_server::{Connection, ToyServer};
pub use websocket::{Frame, WebSocket, accept_key, websocket_echo};
pub use wrk::{Errors, Load, Report, wrk};

/// How long anything here waits for an event when the caller does not say: long enough for a busy machine, short
/// enough that a hanging test is noticed.
pub const BOUND: Duration = Duration::from_secs(20);

/// A new directory that is removed with the value. Others may read it, so that a role without rights can.
#[must_use]
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("evenkeel-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary directory")
}

/// The program that end-to-end tests run: `$EVENKEEL_BIN` (such as a release build), else the one that cargo
/// built for the test: `env!("CARGO_BIN_EXE_evenkeel")`.
#[must_use]
pub fn evenkeel(built_by_cargo: &str) -> PathBuf {
    std::env::var_os("EVENKEEL_BIN").map_or_else(|| built_by_cargo.into(), PathBuf::from)
}
