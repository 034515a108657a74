//! Reads `[pair]`, with the keys for this host in the place of the general ones.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::address::Address;

use super::read::Reader;
use super::{Host, Setting};
use crate::problems::{Problems, Span};

#[derive(Debug)]
pub(crate) struct Pair {
    /// Its header.
    pub(crate) span: Option<Span>,
    /// The keys that have to be given and are not, right or wrong.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) peer: Setting<Address>,
    pub(crate) key_file: Setting<PathBuf>,
    pub(crate) bind: Setting<Address>,
    pub(crate) handover_timeout: Setting<Duration>,
}

impl Reader<'_> {
    /// What was typed for `[pair]`, of which this is the table. What is for other hosts is checked as well.
    pub(super) fn pair(&self, host: &Host, problems: &mut Problems) -> Pair {
        let (merged, others) = self.on_this_host(host, problems);
        for (_, other) in others {
            other.typed_pair(problems);
        }
        let merged = Reader { table: &merged, section: self.section, name: None, span: self.span };
        merged.typed_pair(problems)
    }

    fn typed_pair(&self, problems: &mut Problems) -> Pair {
        Pair {
            span: self.span,
            missing: ["peer", "key-file"].into_iter().filter(|key| self.table.find(key).is_none()).collect(),
            peer: self.address("peer", problems),
            key_file: self.plain_file("key-file", problems),
            bind: self.address("bind", problems),
            handover_timeout: self.time("handover-timeout", problems),
        }
    }
}
