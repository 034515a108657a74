//! Speaks rtnetlink (rtnetlink(7)): links, addresses, routes and rules of this network namespace; lists and ends sockets,
//! and makes tables of nf_tables.
//!
//! Only what the planes and the demo need, in types of its own. Decoding never fails on what it does not know:
//! kernels add attributes with every release, and a watcher that stops at one of them would be blind.
//!
//! Never decides what should be there; see the callers for that.

mod address;
mod diagnosis;
mod link;
mod message;
mod request;
mod route;
mod rule;
mod sockets;
mod tables;
mod watch;
mod wire;

pub use address::Held;
pub use link::Link;
pub use request::Netlink;
pub(crate) use request::handshakes_on;
pub use route::Route;
pub use rule::Rule;
pub use sockets::{Connection, Sockets};
pub use tables::{List, MOST_ELEMENTS, Pair, Passage, Tables};
pub use watch::{Notice, Watch, notices};

/// The mark of what this program adds: `IFA_PROTO`, `rtm_protocol`, `FRA_PROTOCOL`.
///
/// Unassigned in the kernel's headers and in iproute2's table, and above what routing daemons use.
pub const OWN_PROTOCOL: u8 = 0xeb;

/// The largest datagram that is read: the kernel makes parts of a dump no larger than the reader's buffer, up to this.
const LARGEST_DATAGRAM: usize = 32 * 1024;
