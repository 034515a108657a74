//! The records of what is told about virtual routers, and of who else moves their addresses.

use std::time::Duration;

use super::key;
use crate::keys::{Default, Key, Kind, Section};

/// Less than it takes to start a program is never meant, and nobody waits for more than an hour.
const PATIENCE: Kind = Kind::Time { least: Duration::from_millis(100), most: Duration::from_secs(3600) };

pub(super) const KEYS: &[Key] = &[
    key(
        Section::VirtualRouter,
        "notify",
        Kind::List(Section::Notify),
        Default::Nothing("nobody is told"),
    )
    .says(
        "Who is told when the state of the virtual router changes.",
        "notify = [{ script = \"/usr/local/bin/on-change\" }, { webhook = \"https://hooks.example.com/vrrp\" }]",
    ),
    key(
        Section::VirtualRouter,
        "provider",
        Kind::Table(Section::Provider),
        Default::Nothing("the interface alone"),
    )
    .says(
        "Who else must be told to move the addresses: the API of a cloud, a BGP daemon.",
        "provider = { exec = \"/usr/local/bin/assign-address\" }",
    ),
    key(Section::Notify, "script", Kind::Command, Default::Nothing("no script")).says(
        "A program that gets the notice as JSON on its standard input and as `EVENKEEL_…` variables. Exit code 0 confirms \
         it; anything else and it is told again later. Nobody but root and the user that starts Evenkeel may be able to \
         change it or any element of its path.",
        "script = [\"/usr/local/bin/on-change\", \"--quiet\"]",
    ),
    key(Section::Notify, "webhook", Kind::Text, Default::Nothing("no webhook")).says(
        "An address that the notice is sent to as the JSON body of a POST. A status from 200 to 299 confirms it. \
         Certificates are verified with the authorities of the system; redirects are not followed.",
        "webhook = \"https://hooks.example.com/vrrp\"",
    ),
    key(Section::Notify, "user", Kind::User, Default::Nothing("of a `script` only; `user` of `[global]`")).says(
        "Whom the program runs as, when Evenkeel was started by root.",
        "user = \"nobody\"",
    ),
    key(Section::Notify, "token-file", Kind::File, Default::Nothing("of a `webhook` only; no token")).says(
        "A file of its owner alone with the token that goes with each notice as `Authorization: Bearer …`. It is read each \
         time.",
        "token-file = \"/etc/evenkeel/webhook.token\"",
    ),
    key(Section::Notify, "timeout", PATIENCE, Default::Value("10s")).says(
        "How long one attempt may take; then the program is killed, or the connection closed.",
        "timeout = \"5s\"",
    ),
    key(Section::Provider, "exec", Kind::Command, Default::Required).says(
        "The program. After its arguments it gets `own` or `release` and the addresses, one an argument, and the same as \
         JSON on its standard input. Exit code 0 says that it is so. It is called again and again, so it must be able to \
         find that nothing is left to do. Nobody but root and the user that starts Evenkeel may be able to change it or any \
         element of its path.",
        "exec = [\"/usr/local/bin/assign-address\", \"--zone\", \"eu-1\"]",
    ),
    key(Section::Provider, "user", Kind::User, Default::Nothing("`user` of `[global]`")).says(
        "Whom the program runs as, when Evenkeel was started by root.",
        "user = \"nobody\"",
    ),
    key(Section::Provider, "timeout", PATIENCE, Default::Value("30s")).says(
        "How long one call may take; then the program is killed and called again later.",
        "timeout = \"10s\"",
    ),
    key(
        Section::Provider,
        "verify",
        Kind::Time { least: Duration::ZERO, most: Duration::from_secs(86_400) },
        Default::Value("60s"),
    )
    .says(
        "How often it is called once more with `own` while this node holds the addresses, at least `\"1s\"` apart: others may \
         have undone what it did. `\"0s\"` never does.",
        "verify = \"5m\"",
    ),
];
