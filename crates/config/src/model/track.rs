//! Reads what virtual routers track.

use std::path::PathBuf;
use std::time::Duration;

use super::Setting;
use super::read::Reader;
use super::value::not;
use crate::keys::{Key, Kind, Section};
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::Value;

/// The longest path (`PATH_MAX` of Linux), in bytes.
const LONGEST_PATH: usize = 4095;

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) span: Span,
    pub(crate) listener: Setting<String>,
    pub(crate) pool: Setting<String>,
    pub(crate) interface: Setting<String>,
    pub(crate) script: Setting<Vec<String>>,
    pub(crate) file: Setting<PathBuf>,
    pub(crate) process: Setting<String>,
    pub(crate) least_servers: Setting<u64>,
    pub(crate) least_share: Setting<u64>,
    pub(crate) least_processes: Setting<u64>,
    pub(crate) user: Setting<String>,
    pub(crate) priority: Setting<i16>,
    pub(crate) effect: Setting<&'static str>,
    pub(crate) interval: Setting<Duration>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) rise: Setting<u64>,
    pub(crate) fall: Setting<u64>,
    /// The keys that are given, right or wrong.
    pub(crate) given: Vec<At<String>>,
}

pub(super) fn tracks(router: &Reader<'_>, problems: &mut Problems) -> Vec<Track> {
    router.followers("track", Section::Track, problems, |reader, span, problems| Track {
        span,
        listener: reader.name_of_pool("listener", problems),
        pool: reader.name_of_pool("pool", problems),
        interface: reader.interface("interface", problems),
        script: reader.command("script", problems),
        file: reader.plain_file("file", problems),
        process: reader.text("process", problems),
        least_servers: reader.count("least-servers", problems),
        least_share: reader.count("least-share", problems),
        least_processes: reader.count("least-processes", problems),
        user: reader.user("user", problems),
        priority: reader.weight("priority", problems),
        effect: reader.word("effect", problems),
        interval: reader.time("interval", problems),
        timeout: reader.time("timeout", problems),
        rise: reader.count("rise", problems),
        fall: reader.count("fall", problems),
        given: reader.table.entries.iter().map(|entry| entry.key.clone()).collect(),
    })
}

impl Reader<'_> {
    pub(super) fn plain_file(&self, name: &str, problems: &mut Problems) -> Setting<PathBuf> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let path = &text.text;
        if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') || path.len() > LONGEST_PATH {
            problems
                .error(entry.span, format!("{} is no path of a file", quoted(path)))
                .help("write the absolute path of a file");
            return None;
        }
        Some(At::new(path.into(), entry.span))
    }

    fn weight(&self, name: &str, problems: &mut Problems) -> Setting<i16> {
        let (entry, key) = self.given(name)?;
        let Key { kind: Kind::Weight, .. } = key else { return None };
        let number = match &entry.value {
            Value::Integer(number) => *number,
            Value::Text(text) if text.from_variable => text.text.parse().ok(),
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        let fits = |number: &i16| *number != 0 && evenkeel_failover::track::WEIGHTS.contains(number);
        let weight = number.and_then(|number| i16::try_from(number).ok()).filter(fits);
        if weight.is_none() {
            problems
                .error(entry.span, format!("`{name}` is out of bounds"))
                .help(format!("it must be {}", key.kind.expectation()));
        }
        Some(At::new(weight?, entry.span))
    }
}
