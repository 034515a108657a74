//! What one program hands to the next that runs in its place: a letter in memory, and the descriptors that it names.
//!
//! Invariants: a letter of another [`FORMAT`] is refused before anything else of it is read; a descriptor is taken once; what
//! the letter does not name is closed by the kernel.

use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_admin::message::{Event, LastReload, RouterPriority};
use evenkeel_config::found::Findings;
use evenkeel_config::overlay::Overlay;
use evenkeel_config::plan::{Admin, Global};
use evenkeel_ha::message as ha;
use evenkeel_proxy::message::{Legacy, Snapshot};
use evenkeel_proxy::tls::material::TicketKey;
use evenkeel_sys::channel::LARGEST_MESSAGE;
use evenkeel_sys::process::successor;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::sticky::Key;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::sockets::Grip;
use super::super::telling::Notice;

/// Of the letter, and of the words that are spoken with roles of the program before ([`evenkeel_proxy::message::Change::Drain`],
/// [`ha::Change::Leave`]). Counts up with every change that a program of the format before could not read.
pub(super) const FORMAT: u32 = 1;
/// Names the letter to the program that takes over: its process and its descriptor.
pub(super) const VARIABLE: &str = "EVENKEEL_HANDOVER";
/// The longest letter, in bytes.
const LARGEST: u64 = LARGEST_MESSAGE as u64;

/// See the module. Ages instead of moments, because the next program has other moments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Handover {
    pub(super) format: u32,
    /// Of the program that hands over.
    pub(in super::super) version: String,
    /// Of the program that takes over: 1 was started by somebody else.
    pub(in super::super) generation: u64,
    /// Start of the first generation, in seconds since 1970-01-01T00:00:00Z, and how long ago that is.
    pub(in super::super) since: u64,
    pub(in super::super) uptime: Duration,
    /// Who wanted the change.
    pub(in super::super) by: String,
    /// What was fixed at the start.
    pub(in super::super) global: Global,
    pub(in super::super) admin: Option<Admin>,
    pub(in super::super) workers: u16,
    pub(in super::super) max_connections: NonZeroU32,
    pub(in super::super) max_connections_from: String,
    pub(super) listening: Vec<Held>,
    pub(super) doors: Vec<Held>,
    pub(super) state_dir: Option<(PathBuf, RawFd)>,
    /// What differs from the file, and what was found.
    pub(in super::super) overlay: Overlay,
    pub(in super::super) findings: Findings,
    pub(in super::super) leaving: Vec<(Name, Name, Duration)>,
    pub(in super::super) priorities: Vec<RouterPriority>,
    pub(in super::super) revision: u64,
    /// Secrets that clients hold something of.
    pub(in super::super) random: Key,
    pub(in super::super) tickets: Vec<TicketKey>,
    pub(in super::super) ticket_key_in: Duration,
    /// What is remembered.
    pub(in super::super) last_event: u64,
    pub(in super::super) events: Vec<Event>,
    pub(in super::super) alarms: Vec<String>,
    pub(in super::super) last_reload: Option<LastReload>,
    pub(in super::super) transitions: Vec<ha::Transition>,
    pub(in super::super) changed: Vec<ha::ChangedSetting>,
    /// Who is to be told of changes of state, and of which.
    pub(in super::super) notices: Vec<(String, Vec<Notice>)>,
    /// What is known of servers, and what was counted.
    pub(in super::super) legacy: Legacy,
    pub(in super::super) counts: Snapshot,
    pub(in super::super) ha_counts: ha::Snapshot,
    /// Roles that live on.
    pub(super) proxies: Vec<Role>,
    pub(super) ha: Option<Role>,
}

/// The sockets of a bind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    bind: Address,
    sockets: Vec<RawFd>,
    name: Option<(u64, u64)>,
}

/// A role process of a program before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) generation: u64,
    pub(super) version: String,
    pub(super) pid: u32,
    channel: RawFd,
    /// Start of its end, in seconds since 1970-01-01T00:00:00Z.
    pub(super) since: u64,
    /// How long it may take yet; `None`: it was not told to end.
    pub(super) left: Option<Duration>,
    /// What it has counted.
    pub(super) counts: Snapshot,
}

/// A role process with its channel.
#[derive(Debug)]
pub(in super::super) struct OldRole {
    pub(in super::super) generation: u64,
    pub(in super::super) version: String,
    pub(in super::super) pid: u32,
    pub(in super::super) channel: Arc<OwnedFd>,
    pub(in super::super) since: u64,
    pub(in super::super) left: Option<Duration>,
    pub(in super::super) counts: Snapshot,
}

/// All descriptors of a handover.
#[derive(Debug)]
pub(super) struct Grips {
    pub(super) listening: Vec<Grip>,
    pub(super) doors: Vec<Grip>,
    pub(super) state_dir: Option<(PathBuf, Arc<OwnedFd>)>,
    pub(super) proxies: Vec<OldRole>,
    pub(super) ha: Option<OldRole>,
}

impl Grips {
    fn all(&self) -> impl Iterator<Item = &Arc<OwnedFd>> {
        let sockets = self.listening.iter().chain(&self.doors).flat_map(|grip| &grip.sockets);
        let roles = self.proxies.iter().chain(&self.ha).map(|role| &role.channel);
        sockets.chain(roles).chain(self.state_dir.iter().map(|(_, lock)| lock))
    }

    /// Lets them pass to the next program.
    pub(super) fn keep(&self) -> std::io::Result<()> {
        self.all().try_for_each(|descriptor| successor::keep(descriptor).map(drop))
    }

    /// They do not pass after all.
    pub(super) fn keep_no_more(&self) {
        for descriptor in self.all() {
            // It was possible the other way round.
            let _ = successor::keep_no_more(descriptor);
        }
    }
}

impl Held {
    fn name(grip: &Grip) -> Self {
        let sockets = grip.sockets.iter().map(|socket| socket.as_raw_fd()).collect();
        Self { bind: grip.bind.clone(), sockets, name: grip.name }
    }

    fn take(self) -> std::io::Result<Grip> {
        let take = |number: RawFd| successor::take(number).map(Arc::new);
        let sockets = self.sockets.into_iter().map(take).collect::<Result<_, _>>()?;
        Ok(Grip { bind: self.bind, sockets, name: self.name })
    }
}

impl Role {
    fn name(role: &OldRole) -> Self {
        let OldRole { generation, version, pid, channel, since, left, counts } = role;
        Self {
            generation: *generation,
            version: version.clone(),
            pid: *pid,
            channel: channel.as_raw_fd(),
            since: *since,
            left: *left,
            counts: counts.clone(),
        }
    }

    fn take(self) -> std::io::Result<OldRole> {
        let Self { generation, version, pid, channel, since, left, counts } = self;
        let channel = Arc::new(successor::take(channel)?);
        Ok(OldRole { generation, version, pid, channel, since, left, counts })
    }
}

impl Handover {
    /// Names the descriptors.
    pub(super) fn name(&mut self, grips: &Grips) {
        self.listening = grips.listening.iter().map(Held::name).collect();
        self.doors = grips.doors.iter().map(Held::name).collect();
        self.state_dir = grips.state_dir.as_ref().map(|(path, lock)| (path.clone(), lock.as_raw_fd()));
        self.proxies = grips.proxies.iter().map(Role::name).collect();
        self.ha = grips.ha.as_ref().map(Role::name);
    }

    /// Takes the descriptors, which can be done once.
    pub(super) fn take(&mut self) -> std::io::Result<Grips> {
        let take = |held: &mut Vec<Held>| -> std::io::Result<Vec<Grip>> {
            std::mem::take(held).into_iter().map(Held::take).collect()
        };
        Ok(Grips {
            listening: take(&mut self.listening)?,
            doors: take(&mut self.doors)?,
            state_dir: match self.state_dir.take() {
                Some((path, lock)) => Some((path, Arc::new(successor::take(lock)?))),
                None => None,
            },
            proxies: std::mem::take(&mut self.proxies)
                .into_iter()
                .map(Role::take)
                .collect::<Result<_, _>>()?,
            ha: self.ha.take().map(Role::take).transpose()?,
        })
    }

    /// The addresses that are listened on already.
    pub(super) fn binds(&self) -> impl Iterator<Item = &Address> {
        self.listening.iter().chain(&self.doors).map(|held| &held.bind)
    }

    pub(super) fn write(&self) -> Result<OwnedFd, String> {
        let text = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        successor::letter(&text).map_err(|error| error.to_string())
    }

    /// Reads a letter, or says why this program cannot.
    pub(super) fn read(letter: Value) -> Result<Self, String> {
        let format = letter.get("format").and_then(Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            let format =
                format.map_or_else(|| "an unknown format".into(), |format| format!("format {format}"));
            return Err(format!(
                "it cannot go on with what the running program hands over: that has {format}, and it knows format {FORMAT}; \
                 stop the one and start the other"
            ));
        }
        serde_json::from_value(letter)
            .map_err(|error| format!("it cannot read what the running program hands over: {error}"))
    }
}

/// The letter that this program was begun with, if there is one. Answers once.
pub(super) fn received() -> Option<Result<Handover, String>> {
    let said = std::env::var(VARIABLE).ok()?;
    let (pid, number) = said.split_once(':')?;
    // Programs that this one starts inherit the variable, and not what it names.
    if pid.parse() != Ok(std::process::id()) {
        return None;
    }
    // One that was read already is closed: somebody has begun this program by hand.
    let letter = successor::take(number.parse().ok()?).ok()?;
    let read = successor::read_letter(letter, LARGEST)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
        .and_then(Handover::read);
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_another_format_is_refused_before_it_is_read() {
        let why = Handover::read(serde_json::json!({ "format": FORMAT + 1, "whatever": [] })).unwrap_err();
        assert!(
            why.contains(&format!("that has format {}, and it knows format {FORMAT}", FORMAT + 1)),
            "{why}"
        );
        let why = Handover::read(serde_json::json!({})).unwrap_err();
        assert!(why.contains("an unknown format"), "{why}");
        let why = Handover::read(serde_json::json!({ "format": FORMAT })).unwrap_err();
        assert!(why.contains("missing field"), "{why}");
    }
}
