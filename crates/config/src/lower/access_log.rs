//! Access logs: what was meant, and how many places they may go to.

use std::collections::BTreeSet;

use super::{HTTP, default};
use crate::keys::Section;
use crate::model::{AccessLog, Model};
use crate::plan::{self, LogFormat, MOST_LOGS};
use crate::problems::Problems;

/// `None` when the place is missing or wrong, which was reported.
pub(super) fn lower(typed: &AccessLog) -> Option<plan::AccessLog> {
    let format = typed.format.map(|word| word.value).or(default(Section::AccessLog, "format", HTTP));
    let format = match format {
        Some("common") => LogFormat::Common,
        Some("combined") => LogFormat::Combined,
        _ => LogFormat::Json,
    };
    Some(plan::AccessLog { to: typed.to.as_ref()?.value.clone(), format })
}

/// Reports a place too many.
pub(super) fn check(model: &Model, problems: &mut Problems) {
    let logs = model.listeners.iter().filter_map(|listener| listener.access_log.as_ref()?.to.as_ref());
    let mut places = BTreeSet::new();
    for to in logs {
        if places.insert(&to.value) && places.len() == MOST_LOGS + 1 {
            problems
                .error(to.span, format!("access logs go to more than {MOST_LOGS} places"))
                .help("let listeners share a file: each line of `format = \"json\"` names its listener");
        }
    }
}
