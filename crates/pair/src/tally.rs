//! What is counted and told about the link. Lines for the log come from here, and not more than [`LINES`] says.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::message::State;

/// One line about each kind of refusal in such a time, however many there are.
const LINES: Duration = Duration::from_secs(60);

/// Why a try came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It knows another key.
    Key,
    /// It speaks this version of the link.
    Version(u8),
    /// It is this process.
    Itself,
    /// What it says makes no sense.
    Malformed,
    /// It took too long.
    Late,
    /// It could not be reached, or went away.
    Gone(String),
}

impl Failure {
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Key => "key",
            Self::Version(_) => "version",
            Self::Itself => "itself",
            Self::Malformed => "malformed",
            Self::Late => "late",
            Self::Gone(_) => return None,
        })
    }

    /// What to do about it, when somebody has to.
    fn alarm(&self, peer: SocketAddr) -> Option<String> {
        let ip = peer.ip();
        Some(match self {
            Self::Key => format!(
                "{ip} does not know the key of this node: `key-file` must hold the same on both nodes; when it does, somebody \
                 else uses that address"
            ),
            Self::Version(version) => format!(
                "{ip} speaks version {version} of the link, this node version {}: upgrade the older one",
                crate::wire::VERSION
            ),
            Self::Itself => format!("`peer` ({peer}) is this node itself: write the other node's address"),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        match self {
            Self::Key => "it does not know the key".into(),
            Self::Version(version) => format!("it speaks version {version} of the link"),
            Self::Itself => "it is this node itself".into(),
            Self::Malformed => "what it says makes no sense".into(),
            Self::Late => "it did not answer in time".into(),
            Self::Gone(why) => why.clone(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    peer: SocketAddr,
    pub(crate) state: State,
    /// When a line about a reason was written last.
    lines: Vec<(&'static str, Instant)>,
}

impl Tally {
    pub(crate) fn new(peer: SocketAddr) -> Self {
        let why = Some("it is being called".to_owned());
        let state = State { since: unix_time(), why, ..State::default() };
        Self { peer, state, lines: Vec::new() }
    }

    /// From now on it is about this node. What was counted stays.
    pub(crate) fn follow(&mut self, peer: SocketAddr) {
        self.peer = peer;
        self.state.alarm = None;
    }

    pub(crate) fn began(&mut self) {
        self.state.sessions_total += 1;
        self.state.alarm = None;
        self.state.why = None;
        if !std::mem::replace(&mut self.state.up, true) {
            self.state.since = unix_time();
        }
        tracing::info!("pair: the other node is linked: {}", self.peer);
    }

    pub(crate) fn ended(&mut self, why: &str) {
        if std::mem::replace(&mut self.state.up, false) {
            self.state.since = unix_time();
            self.state.why = Some(why.into());
            self.state.ended = Some(why.into());
            tracing::warn!(
                "pair: the link to {} is gone: {why}; until it is back addresses move without connections",
                self.peer
            );
        }
    }

    /// Somebody was not believed, or not reached.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Instant) {
        if let Some(reason) = failure.reason() {
            *self.state.refused_total.entry(reason.into()).or_default() += 1;
        }
        let words = failure.words();
        if !self.state.up && self.state.why.as_ref() != Some(&words) {
            if failure.alarm(self.peer).is_none() && self.may_write("gone", now) {
                tracing::warn!("pair: no link to {}: {words}", self.peer);
            }
            self.state.why = Some(words);
        }
        let Some(alarm) = failure.alarm(self.peer) else { return };
        if failure.reason().is_some_and(|reason| self.may_write(reason, now)) {
            tracing::error!("pair: {alarm}");
        }
        self.state.alarm = Some(alarm);
    }

    fn may_write(&mut self, reason: &'static str, now: Instant) -> bool {
        match self.lines.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, at)) if now.duration_since(*at) < LINES => false,
            Some((_, at)) => {
                *at = now;
                true
            }
            None => {
                self.lines.push((reason, now));
                true
            }
        }
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new("192.0.2.2:7411".parse().unwrap())
    }

    #[test]
    fn a_wrong_key_is_an_alarm_until_a_session_begins() {
        let (mut tally, now) = (tally(), Instant::now());
        tally.failed(&Failure::Key, now);
        tally.failed(&Failure::Key, now);
        assert_eq!(tally.state.refused_total["key"], 2);
        assert!(tally.state.alarm.as_ref().unwrap().contains("`key-file` must hold the same"));
        assert_eq!(tally.state.why.as_deref(), Some("it does not know the key"));
        tally.began();
        assert_eq!((tally.state.up, tally.state.alarm.clone(), tally.state.why.clone()), (true, None, None));
        // While the other node is linked somebody else is a reason for an alarm, and for nothing else.
        tally.failed(&Failure::Key, now);
        assert!(tally.state.up && tally.state.why.is_none() && tally.state.alarm.is_some());
    }

    #[test]
    fn one_line_a_minute_is_written_about_each_reason() {
        let (mut tally, now) = (tally(), Instant::now());
        assert!(tally.may_write("key", now) && tally.may_write("version", now));
        assert!(!tally.may_write("key", now + Duration::from_secs(59)));
        assert!(tally.may_write("key", now + LINES));
    }

    #[test]
    fn a_node_that_is_not_there_is_no_alarm() {
        let mut tally = tally();
        tally.failed(&Failure::Gone("connection refused".into()), Instant::now());
        assert_eq!(tally.state.alarm, None);
        assert_eq!(tally.state.why.as_deref(), Some("connection refused"));
        assert!(tally.state.refused_total.is_empty());
    }
}
