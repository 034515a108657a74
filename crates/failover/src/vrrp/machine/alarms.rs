//! What is wrong for longer. An alarm ends when the router that caused it mends its ways, or is not heard any more.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::status::{Alarm, AlarmKind};
use super::office::Dual;

/// An alarm lasts at least this long after its last cause.
const SHORTEST: Duration = Duration::from_secs(60);

/// One place for each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms(Vec<Raised>);

#[derive(Clone, Debug)]
struct Raised {
    alarm: Alarm,
    until: Instant,
}

impl Alarms {
    /// There is a cause. `interval`: how often the next would come. Whether the alarm is new.
    pub(super) fn raise(
        &mut self,
        kind: AlarmKind,
        source: IpAddr,
        interval: Duration,
        now: Instant,
    ) -> bool {
        let until = now + SHORTEST.max(interval * 3);
        match self.0.iter_mut().find(|raised| raised.alarm.kind == kind) {
            Some(raised) if raised.until > now && raised.alarm.source == source => {
                raised.until = until;
                false
            }
            Some(raised) => {
                *raised = Raised { alarm: Alarm { kind, since: now, source }, until };
                true
            }
            None => {
                self.0.push(Raised { alarm: Alarm { kind, since: now, source }, until });
                true
            }
        }
    }

    /// The cause is gone, as far as it was this router. Whether there was an alarm.
    pub(super) fn clear(&mut self, kind: AlarmKind, source: IpAddr) -> bool {
        let before = self.0.len();
        self.0.retain(|raised| raised.alarm.kind != kind || raised.alarm.source != source);
        self.0.len() < before
    }

    pub(super) fn clear_all(&mut self) {
        self.0.clear();
    }

    pub(super) fn now(&self, now: Instant, dual: Option<&Dual>) -> Vec<Alarm> {
        let dual =
            dual.map(|dual| Alarm { kind: AlarmKind::DualOwner, since: dual.begun, source: dual.source });
        let raised = self.0.iter().filter(|raised| raised.until > now).map(|raised| raised.alarm);
        dual.into_iter().chain(raised).collect()
    }
}
