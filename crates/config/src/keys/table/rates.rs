//! The records of how slow a client may be.

use super::key;
use crate::keys::{Default, Key, Kind, Section};

/// No rate may be asked for beyond it: 1 GiB a second.
const FASTEST: u64 = 1 << 30;

pub(super) const KEYS: &[Key] = &[
    key(
        Section::Listener,
        "min-body-rate",
        Kind::Size { least: 0, most: FASTEST },
        Default::Value("500B"),
    )
    .http_only()
    .says(
        "Bytes per second that the body of a request must average, so that slow senders do not hold connections for \
         ever. A slower one is answered 408. `\"0B\"` asks for none.",
        "min-body-rate = \"1KiB\"",
    ),
    key(
        Section::Listener,
        "min-response-rate",
        Kind::Size { least: 0, most: FASTEST },
        Default::Value("500B"),
    )
    .http_only()
    .says(
        "Bytes per second of a response that waits for its client which the client must take on average, so that slow \
         readers do not hold connections and memory for ever. It may pause for `idle-timeout` in all; what it takes \
         earns the time back. Then the response is broken off. Over HTTP/2 all requests of a connection share the rate. \
         Time in which the server sends nothing does not count. `\"0B\"` asks for none.",
        "min-response-rate = \"1KiB\"",
    ),
];
