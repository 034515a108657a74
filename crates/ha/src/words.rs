//! Puts what happens into sentences for the operator.

use evenkeel_failover::vrrp::note::{Note, Why};
use evenkeel_failover::vrrp::params::Coverage;
use evenkeel_failover::vrrp::status::AlarmKind;

use crate::message::Level;

/// A note in words.
pub(crate) fn note(note: &Note) -> (Level, String) {
    match note {
        Note::Became { from, to, why } => {
            let level = match why {
                Why::LinkDown | Why::Stalled | Why::Withdrawn | Why::Ailing => Level::Warning,
                _ => Level::Info,
            };
            (level, format!("{to} (was {from}): {}", reason(why)))
        }
        Note::Refused { refusal, source, times } => {
            let how_often =
                if *times == 1 { String::new() } else { format!(" ({times} since the last such line)") };
            (Level::Warning, format!("an advertisement from {source} was dropped: {refusal}{how_often}"))
        }
        Note::DualOwner { source, priority } => (
            Level::Error,
            format!(
                "{source} (priority {priority}) is active as well; this one stays and has told it and the neighbours. Do \
                 the two hear each other in both directions?"
            ),
        ),
        Note::DualOwnerEnded { source, lasted } => {
            (Level::Warning, format!("{source} is active no more; both were for {} ms", lasted.as_millis()))
        }
        Note::AddressesDiffer { source } => {
            (Level::Warning, format!("{source} has other addresses: give both nodes the same `addresses`"))
        }
        Note::AddressesAgree { source } => (Level::Info, format!("{source} has the same addresses again")),
        Note::IntervalDiffers { source, theirs } => (
            Level::Warning,
            format!(
                "{source} advertises every {} ms, which is followed: give both nodes the same `advertisement-interval`",
                theirs.as_millis()
            ),
        ),
        Note::EqualPriority { source } => (
            Level::Warning,
            format!(
                "{source} has the same priority: give each node its own, so that it is clear who takes over"
            ),
        ),
        Note::Stalled { late } => (
            Level::Warning,
            format!(
                "this process was not run for {} ms and listens before it acts: is the machine overloaded or suspended?",
                late.as_millis()
            ),
        ),
        Note::PeerChecksum { source, coverage } => {
            let covers = match coverage {
                Coverage::WithPseudoHeader => "addresses and message, as keepalived does",
                Coverage::MessageOnly => "the message only, as RFC 9568 says",
            };
            (Level::Info, format!("the checksum of {source} covers {covers}"))
        }
        // Whatever else a machine may want to tell.
        other => (Level::Info, format!("{other:?}")),
    }
}

/// The reason of a transition in words.
pub(crate) fn reason(why: &Why) -> String {
    match why {
        Why::Started => "it was started".into(),
        Why::Adopted => "the addresses were here already, left by an earlier run".into(),
        Why::Stopped => "it was stopped".into(),
        Why::LinkUp => "its interface can be used".into(),
        Why::LinkDown => "its interface cannot be used".into(),
        Why::Withdrawn => "something that it tracks has failed".into(),
        Why::Restored => "what it tracks works again".into(),
        Why::Owner => "the addresses belong to this machine (priority 255)".into(),
        Why::Silence => "the active router was silent".into(),
        Why::Preempted { source, priority } => {
            format!("the active router {source} has a lower priority, {priority}")
        }
        Why::Higher { source, priority } => format!("{source} is active with a higher priority, {priority}"),
        Why::HigherAddress { source } => {
            format!("{source} is active with the same priority and a higher address")
        }
        Why::Heard { source, priority } => format!("{source} is active, with priority {priority}"),
        Why::Asked => "an operator wants another router to be active".into(),
        Why::Ailing => "something that it tracks has failed; another router may take over".into(),
        Why::HandedOver { source, priority } => format!("{source} has taken over, with priority {priority}"),
        Why::NobodyCame => "no other router has taken over".into(),
        Why::Stalled => "this process was not run for too long; it listens first".into(),
        Why::Group => "the group it belongs to".into(),
        Why::Reconfigured => "its configuration has changed".into(),
        other => format!("{other:?}"),
    }
}

/// An alarm: its name in status and metrics, and what to do.
pub(crate) fn alarm(kind: AlarmKind) -> (&'static str, &'static str) {
    match kind {
        AlarmKind::DualOwner => (
            "dual-owner",
            "another router is active as well: check that the two hear each other in both directions",
        ),
        AlarmKind::AddressesDiffer => {
            ("addresses-differ", "another router has other addresses: give both nodes the same `addresses`")
        }
        AlarmKind::IntervalDiffers => (
            "interval-differs",
            "another router advertises at another interval: give both nodes the same `advertisement-interval`",
        ),
        AlarmKind::EqualPriority => {
            ("equal-priority", "another router has the same priority: give each node its own")
        }
        AlarmKind::Version => {
            ("version", "another router speaks another version: give both nodes the same `version`")
        }
        AlarmKind::Authentication => (
            "authentication",
            "another router authenticates itself in another way: give both nodes the same `authentication`",
        ),
        _ => ("other", "see the log"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenkeel_failover::vrrp::params::Priority;
    use evenkeel_failover::vrrp::refusal::Refusal;
    use evenkeel_failover::vrrp::status::State;

    use super::*;

    #[test]
    fn a_transition_says_from_what_to_what_and_why() {
        let why =
            Why::Higher { source: "192.0.2.11".parse().unwrap(), priority: Priority::new(150).unwrap() };
        let (level, text) = note(&Note::Became { from: State::Active, to: State::Backup, why });
        assert_eq!(level, Level::Info);
        assert_eq!(text, "backup (was active): 192.0.2.11 is active with a higher priority, 150");
    }

    #[test]
    fn refusals_are_counted_in_one_line() {
        let source = "192.0.2.9".parse().unwrap();
        let (_, text) = note(&Note::Refused { refusal: Refusal::Checksum, source, times: 10_000 });
        assert_eq!(
            text,
            "an advertisement from 192.0.2.9 was dropped: its checksum is wrong (10000 since the last such line)"
        );
        let (level, text) = note(&Note::DualOwnerEnded { source, lasted: Duration::from_millis(40) });
        assert_eq!(
            (level, text.as_str()),
            (Level::Warning, "192.0.2.9 is active no more; both were for 40 ms")
        );
    }
}
