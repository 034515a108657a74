//! Reads `send-proxy-protocol` of a pool.

use super::Setting;
use super::health::WordOr;
use super::read::Reader;
use crate::problems::{Problems, Span};

#[derive(Debug)]
pub(crate) struct SendProxy {
    pub(crate) version: Setting<&'static str>,
    pub(crate) extensions: Setting<Vec<&'static str>>,
}

/// What was typed, and where.
pub(super) fn send_proxy(pool: &Reader<'_>, problems: &mut Problems) -> Setting<WordOr<SendProxy>> {
    pool.word_or_table("send-proxy-protocol", problems, |reader, problems| SendProxy {
        version: reader.word("version", problems),
        extensions: reader.word_list("extensions", problems),
    })
}

impl SendProxy {
    /// Where its extensions are.
    pub(crate) fn extensions_at(&self) -> Option<Span> {
        self.extensions.as_ref().map(|extensions| extensions.span)
    }
}
