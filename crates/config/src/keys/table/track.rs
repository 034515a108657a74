//! The records of what virtual routers track.

use std::time::Duration;

use super::key;
use crate::keys::{Default, Key, Kind, Section};

const PAUSE: Kind = Kind::Time { least: Duration::from_millis(100), most: Duration::from_secs(3600) };
const STREAK: Kind = Kind::Count { least: 1, most: 100, auto: false };
const SCRIPT: Default = Default::Nothing("of a `script` only; 1s");

pub(super) const KEYS: &[Key] = &[
    key(Section::VirtualRouter, "track", Kind::List(Section::Track), Default::Nothing("nothing but the proxy role"))
        .says(
            "What else must be well for this node to hold the addresses.",
            "track = [{ pool = \"website\" }, { interface = \"eth1\", priority = -20 }]",
        ),
    key(Section::VirtualRouter, "track-proxy", Kind::Flag, Default::Value("true")).says(
        "The node yields while its proxy role does not run, hangs, or has not yet found out how its servers are. Without a \
         listener nobody is served by it, and it is not tracked.",
        "track-proxy = false",
    ),
    key(Section::Track, "listener", Kind::Listener, Default::Nothing("no listener")).says(
        "A listener: it is well while one of the pools that it may send to has a server that takes traffic.",
        "listener = \"website\"",
    ),
    key(Section::Track, "pool", Kind::Pool, Default::Nothing("no pool")).says(
        "A pool: it is well while at least `least-servers` of its servers, or `least-share` of them, take traffic. Its \
         `health` is what finds that out. No listener needs to send to it: that is how a service of this machine is \
         checked.",
        "pool = \"website\"",
    ),
    key(
        Section::Track,
        "least-servers",
        Kind::Count { least: 1, most: 65_535, auto: false },
        Default::Nothing("of a `pool` only; 1"),
    )
    .says("How many servers of the pool must take traffic.", "least-servers = 2"),
    key(
        Section::Track,
        "least-share",
        Kind::Count { least: 1, most: 100, auto: false },
        Default::Nothing("of a `pool` only; `least-servers` counts"),
    )
    .says("How many of 100 servers of the pool must take traffic.", "least-share = 50"),
    key(Section::Track, "interface", Kind::Interface, Default::Nothing("no interface")).says(
        "An interface: it is well while it is there, up, and has a carrier. The router's own needs no mention.",
        "interface = \"eth1\"",
    ),
    key(Section::Track, "script", Kind::Command, Default::Nothing("no script")).says(
        "A program: all is well when its exit code is 0. It has an empty environment but for `PATH`, and is killed with all \
         that it started when `timeout` is over. Nobody but root and the user that starts Evenkeel may be able to change \
         it or any element of its path.",
        "script = [\"/usr/local/bin/uplink-works\", \"--quick\"]",
    ),
    key(Section::Track, "user", Kind::User, Default::Nothing("of a `script` only; `user` of `[global]`")).says(
        "Whom the program runs as, when Evenkeel was started by root.",
        "user = \"nobody\"",
    ),
    key(Section::Track, "file", Kind::File, Default::Nothing("no file")).says(
        "A file with a whole number: all is well while it is 0, or there is no such file, or nothing in it. With `priority` \
         the number is multiplied by it, as keepalived does.",
        "file = \"/run/evenkeel/maintenance\"",
    ),
    key(Section::Track, "process", Kind::Text, Default::Nothing("no process")).says(
        "The name of a program as the kernel knows it (`/proc/PID/comm`, at most 15 bytes): all is well while at least \
         `least-processes` of it run. That says only that they exist: a `pool` with a check of what they serve says more.",
        "process = \"nginx\"",
    ),
    key(
        Section::Track,
        "least-processes",
        Kind::Count { least: 1, most: 65_535, auto: false },
        Default::Nothing("of a `process` only; 1"),
    )
    .says("How many processes must run.", "least-processes = 2"),
    key(
        Section::Track,
        "priority",
        Kind::Weight,
        Default::Nothing("no weight: see `effect`"),
    )
    .says(
        "Takes so much from the router's priority while it is not well; a positive number is added while it is.",
        "priority = -20",
    ),
    key(Section::Track, "effect", Kind::Word(&["yield", "fault"]), Default::Value("yield")).says(
        "What happens while it is not well and there is no `priority`. `yield`: the addresses are handed to any other node \
         that takes them, and stay if none does, so that nodes that are all ill do not take the site down. `fault`: this \
         node does not hold them whatever becomes of them.",
        "effect = \"fault\"",
    ),
    key(Section::Track, "interval", PAUSE, Default::Nothing("of a `script`, `file` or `process` only; 1s")).says(
        "From the start of one look to the start of the next.",
        "interval = \"500ms\"",
    ),
    key(Section::Track, "timeout", PAUSE, SCRIPT).says(
        "How long the program may take; then it is killed and has failed.",
        "timeout = \"2s\"",
    ),
    key(Section::Track, "rise", STREAK, Default::Nothing("of a `script` or `process` only; 1"))
        .says("How many good results in a row make it well again.", "rise = 3"),
    key(Section::Track, "fall", STREAK, Default::Nothing("of a `script` or `process` only; 1"))
        .says("How many bad results in a row make it ill.", "fall = 2"),
];
