//! gRPC by tonic: the service `lab.Calls`, its messages, its server, and a client that tries all of it.

pub(crate) mod client;
pub(crate) mod messages;
pub(crate) mod server;

mod service {
    include!(concat!(env!("OUT_DIR"), "/lab.Calls.rs"));
}

/// The name of the service, which is also the one that its health is asked for by.
const SERVICE: &str = "lab.Calls";

/// The largest message; tonic's own bound for what is received is 4 MiB.
const LARGEST: usize = 16 << 20;

/// The refusal of `Refuse` and `RefuseLate`: everything that a status can carry, in words that need escaping.
mod refusal {
    pub(super) const CODE: tonic::Code = tonic::Code::FailedPrecondition;
    pub(super) const MESSAGE: &str = "not before café has opened: 100 % sure\nask again";
    pub(super) const DETAILS: &[u8] = &[0, 1, 2, 0xfd, 0xfe, 0xff];
    pub(super) const TEXT: &str = "closed";
    pub(super) const RAW: &[u8] = b"\x00raw\xff";
    /// Messages before `RefuseLate` refuses.
    pub(super) const AFTER: u64 = 3;
}
