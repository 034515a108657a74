//! The keys of `[pair]`.

use std::time::Duration;

use super::key;
use crate::keys::{Default, Key, Kind, Section};

/// Shorter ones would end connections before a client can have noticed that they are drained.
const SHORTEST_HANDOVER: Duration = Duration::from_secs(1);
const LONGEST_HANDOVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const KEYS: &[Key] = &[
    key(
        Section::Top,
        "pair",
        Kind::Table(Section::Pair),
        Default::Nothing("addresses move without their connections"),
    )
    .says("The link to the other node.", "[pair]"),
    key(Section::Pair, "peer", Kind::Address, Default::Nothing("must be given, here or in `on.HOST`")).says(
        "The other node: an address of its own, no virtual one, and the port where it listens for this one. Packets from any \
         other address are dropped before they are looked at.",
        "peer = \"10.0.0.12:7411\"",
    ),
    key(Section::Pair, "key-file", Kind::File, Default::Nothing("must be given, here or in `on.HOST`")).says(
        "A file with the key that both nodes share, at least 32 bytes in one line, such as `openssl rand -base64 32` writes. \
         Nobody but its owner may change it, and nobody but its owner and group read it. It is read at the start and at each \
         reload, as the user who starts the program.",
        "key-file = \"/etc/evenkeel/pair.key\"",
    ),
    key(
        Section::Pair,
        "bind",
        Kind::Address,
        Default::Nothing("every address of the family of `peer`, with its port"),
    )
    .says(
        "Where this node listens for the other one, and from which address it calls it. Needed when the other node knows this \
         one by an address that the kernel would not choose by itself, or by another port.",
        "bind = \"10.0.0.11:7411\"",
    ),
    key(
        Section::Pair,
        "handover-timeout",
        Kind::Time { least: SHORTEST_HANDOVER, most: LONGEST_HANDOVER },
        Default::Value("10m"),
    )
    .says(
        "How long connections may go on where they are once their addresses have moved. What is left then is ended.",
        "handover-timeout = \"1h\"",
    ),
    key(Section::Pair, "on", Kind::Named(Section::Pair), Default::Nothing("the same on every host")).says(
        "Keys for the host of this name alone; they take the place of those above, so that both nodes may share one file. \
         The name is that of `hostname`, whole or up to its first dot.",
        "[pair.on.balancer02]",
    ),
];
