//! Decides what `send-proxy-protocol` means, and refuses what cannot go with it.

use crate::keys::Section;
use crate::model::{Pool, WordOr};
use crate::plan::{Extensions, SendProxy};
use crate::problems::Problems;

/// `None` tells servers nothing.
pub(super) fn lower(pool: &Pool, problems: &mut Problems) -> Option<SendProxy> {
    let typed = pool.send_proxy.as_ref()?;
    if let Some(keep) = pool.keep_alive.filter(|keep| !keep.value.is_zero()) {
        problems
            .error(keep.span, "`keep-alive` means nothing with `send-proxy-protocol`")
            .see(typed.span, "a connection belongs to the one client that it names")
            .help("remove `keep-alive`");
    }
    let (version, extensions) = match &typed.value {
        WordOr::Word(word) => (*word, None),
        WordOr::Table(table) => {
            let default = super::default(Section::SendProxyProtocol, "version", super::HTTP);
            let version = table.version.map(|version| version.value).or(default).unwrap_or_default();
            if let Some(span) = table.extensions_at().filter(|_| version == "v1") {
                problems
                    .error(span, "version 1 has no extensions")
                    .help("write `version = \"v2\"`, or remove `extensions`");
            }
            (version, table.extensions.as_ref())
        }
    };
    let has = |word: &str| extensions.is_some_and(|typed| typed.value.contains(&word));
    Some(match version {
        "v1" => SendProxy::V1,
        _ => SendProxy::V2(Extensions {
            authority: has("authority"),
            alpn: has("alpn"),
            ssl: has("ssl"),
            checksum: has("crc32c"),
        }),
    })
}

/// Whether checks of the pool begin with a header.
pub(super) fn of_checks(pool: &Pool, problems: &mut Problems) -> bool {
    let typed = match pool.health.as_ref().map(|health| &health.value) {
        Some(WordOr::Table(health)) => health.proxy_protocol,
        _ => None,
    };
    if let Some(typed) = typed.filter(|typed| typed.value && pool.send_proxy.is_none()) {
        problems
            .error(typed.span, "`proxy-protocol` of a check in a pool without `send-proxy-protocol`")
            .help("add `send-proxy-protocol = \"v2\"` to the pool, or remove the line");
    }
    typed.map_or(pool.send_proxy.is_some(), |typed| typed.value)
}
