//! The keys of `[pool.NAME.sticky]`.

use std::time::Duration;

use super::key;
use crate::keys::{Default, Key, Kind, Section};

/// The longest life of a cookie that browsers grant.
const LONGEST_COOKIE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

pub(super) const KEYS: &[Key] = &[
    key(Section::Sticky, "cookie", Kind::Cookie, Default::Required).says(
        "The name of the cookie. Servers do not see it, and one of this name that a server sets does not reach the client. \
         Pools behind one listener need names of their own.",
        "cookie = \"EVENKEEL\"",
    ),
    key(
        Section::Sticky,
        "key-file",
        Kind::File,
        Default::Nothing("a random key, which ends with the program"),
    )
    .says(
        "A file with the secret that signs the cookie, at least 32 bytes, such as `openssl rand -base64 32` writes. \
         Balancers with the same file send a client to the same server, and cookies outlive a restart. Nobody but its \
         owner may change it, and nobody but its owner and group read it. It is read at the start and at each reload, as \
         the user who starts the program.",
        "key-file = \"/etc/evenkeel/sticky.key\"",
    ),
    key(Section::Sticky, "same-site", Kind::Word(&["lax", "strict", "none"]), Default::Value("lax")).says(
        "The attribute `SameSite`: whether a browser sends the cookie when another site makes it ask: only when the user \
         follows a link, never, or always.",
        "same-site = \"strict\"",
    ),
    key(Section::Sticky, "secure", Kind::FlagOr(&["auto"]), Default::Value("auto")).says(
        "The attribute `Secure`: browsers send the cookie over TLS only. `\"auto\"` sets it for clients that come to the \
         listener over TLS. Write `true` when TLS ends in front of the balancer.",
        "secure = true",
    ),
    key(
        Section::Sticky,
        "max-age",
        Kind::Time { least: Duration::from_secs(1), most: LONGEST_COOKIE },
        Default::Nothing("until the browser ends"),
    )
    .says(
        "The attribute `Max-Age`: how long browsers keep the cookie, from the moment they get it, in whole seconds.",
        "max-age = \"8h\"",
    ),
    key(Section::Sticky, "domain", Kind::Domain, Default::Nothing("the host of the request alone")).says(
        "The attribute `Domain`: browsers send the cookie to this domain and every host below it.",
        "domain = \"example.com\"",
    ),
];
