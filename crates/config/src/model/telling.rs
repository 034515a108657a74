//! Reads who is told about virtual routers, and who else moves their addresses.

use std::path::PathBuf;
use std::time::Duration;

use super::Setting;
use super::read::Reader;
use crate::keys::Section;
use crate::problems::{At, Problems, Span};

#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) span: Span,
    pub(crate) script: Setting<Vec<String>>,
    pub(crate) webhook: Setting<String>,
    pub(crate) user: Setting<String>,
    pub(crate) token_file: Setting<PathBuf>,
    pub(crate) timeout: Setting<Duration>,
    /// The keys that are given, right or wrong.
    pub(crate) given: Vec<At<String>>,
}

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) exec: Setting<Vec<String>>,
    pub(crate) user: Setting<String>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) verify: Setting<Duration>,
}

pub(super) fn notify(router: &Reader<'_>, problems: &mut Problems) -> Vec<Notify> {
    router.followers("notify", Section::Notify, problems, |reader, span, problems| Notify {
        span,
        script: reader.command("script", problems),
        webhook: reader.text("webhook", problems),
        user: reader.user("user", problems),
        token_file: reader.plain_file("token-file", problems),
        timeout: reader.time("timeout", problems),
        given: reader.table.entries.iter().map(|entry| entry.key.clone()).collect(),
    })
}

pub(super) fn provider(router: &Reader<'_>, problems: &mut Problems) -> Option<Provider> {
    let reader = router.table("provider", Section::Provider, problems)?;
    Some(Provider {
        exec: reader.command("exec", problems),
        user: reader.user("user", problems),
        timeout: reader.time("timeout", problems),
        verify: reader.time("verify", problems),
    })
}
