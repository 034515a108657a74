//! The advertisements of a machine.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::authentication::Authentication;
use super::super::hmac::{self, Binding};
use super::super::packet::Advertisement;
use super::super::params::{Delivery, Priority};
use super::Machine;
use super::office::Office;

impl Machine {
    /// One copy to everybody; `None`: we give up.
    pub(super) fn advertise(&mut self, now: Instant, priority: Option<Priority>) {
        let Some(source) = self.source() else { return };
        let settings = self.params.settings();
        let advertisement = Advertisement {
            version: settings.version,
            vrid: settings.vrid,
            priority,
            interval: settings.interval,
            addresses: settings.addresses.iter().map(|address| address.ip).collect(),
            password: match settings.authentication {
                Authentication::Pass(password) => Some(password),
                _ => None,
            },
        };
        let group = [settings.family.group()];
        let destinations: Box<dyn Iterator<Item = IpAddr>> = match &settings.delivery {
            Delivery::Multicast => Box::new(group.into_iter()),
            Delivery::Unicast(peers) => Box::new(peers.iter().map(|peer| peer.address)),
        };
        let wall =
            self.wall_clock.map_or(Duration::ZERO, |(at, wall)| wall + now.saturating_duration_since(at));
        for destination in destinations {
            let mut payload = advertisement.encode(source, destination, settings.checksum);
            if let Authentication::Hmac(hmac) = &settings.authentication {
                let sequence = self.sealer.next(wall, hmac::window(hmac, settings.interval));
                let binding = Binding { version: settings.version, vrid: settings.vrid, source };
                hmac::seal(hmac, &binding, sequence, &mut payload);
            }
            self.output.sent(destination, payload, priority.is_none());
        }
        self.last_sent = Some(now);
    }

    /// Advertises now instead of later, if active.
    pub(super) fn advertise_early(&mut self, now: Instant) {
        let interval = self.params.settings().interval.duration();
        if let Office::Active(active) = &mut self.office {
            active.sent_at = now;
            active.advertise_at = now + interval;
            self.advertise(now, Some(self.priority()));
        }
    }
}
