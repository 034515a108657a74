//! Decides what `protocol` of a pool means, and refuses what cannot go with it.

use super::{HTTP, default};
use crate::keys::Section;
use crate::model::Pool;
use crate::plan::Protocol;
use crate::problems::Problems;

pub(super) fn lower(pool: &Pool, problems: &mut Problems) -> Protocol {
    let word = pool.protocol.map(|word| word.value).or(default(Section::Pool, "protocol", HTTP));
    let protocol = match word {
        Some("h2") => Protocol::H2,
        Some("auto") => Protocol::Auto,
        _ => Protocol::H1,
    };
    let Some(typed) = pool.protocol.filter(|_| protocol != Protocol::H1) else { return protocol };
    if protocol == Protocol::Auto && pool.tls.is_none() {
        problems
            .error(typed.span, "`protocol = \"auto\"` without `tls`: nothing tells what a server speaks")
            .help("write `\"h1\"` or `\"h2\"`, or add `tls = {}` if the servers speak TLS");
    }
    if let Some(announced) = &pool.send_proxy {
        problems
            .error(typed.span, "HTTP/2 cannot go with `send-proxy-protocol`")
            .see(announced.span, "a connection belongs to the one client that it names")
            .help("remove `send-proxy-protocol`: `forwarding-headers` of listeners tell servers of clients");
    }
    protocol
}
