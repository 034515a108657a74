//! Each check once passed and once failed, by one thing changed in a message that passes.

use std::time::Instant;

use super::super::action::{Action, Link};
use super::super::authentication::{Hmac, Key, Mode, Password};
use super::super::machine::Machine;
use super::super::packet::Advertisement;
use super::super::params::{Address, Params, Peer, VirtualRouterId};
use super::super::scene::{OWN, epoch, said, settings};
use super::*;

const PEER: [u8; 4] = [10, 99, 0, 1];
const MINUTE: Duration = Duration::from_secs(60);

fn v3() -> Settings {
    settings(Version::V3, 100, 10)
}

fn v2() -> Settings {
    settings(Version::V2, 100, 100)
}

fn unicast(mut settings: Settings, least_hop_limit: u8) -> Settings {
    settings.delivery = Delivery::Unicast(vec![Peer { address: PEER.into(), least_hop_limit }]);
    settings
}

fn v6() -> Settings {
    let addresses = ["fe80::50", "fd99::50"].map(|ip| Address { ip: ip.parse().unwrap(), prefix: 64 });
    let mut settings = v3();
    (settings.family, settings.addresses) = (Family::V6, addresses.to_vec());
    settings
}

/// What a peer with the same settings sends, still to be changed.
struct Sent {
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    advertisement: Advertisement,
    coverage: Coverage,
    hmac: Option<Hmac>,
    /// The checksum is mended afterwards, for everything that is not about checksums.
    bytes: Vec<(usize, u8)>,
    length: Option<usize>,
}

impl Sent {
    fn like(settings: &Settings) -> Self {
        let v4 = settings.family == Family::V4;
        Self {
            source: if v4 { PEER.into() } else { "fe80::1".parse().unwrap() },
            destination: match settings.delivery {
                Delivery::Multicast => settings.family.group(),
                Delivery::Unicast(_) => OWN.into(),
            },
            hop_limit: 255,
            advertisement: Advertisement {
                version: settings.version,
                vrid: settings.vrid,
                priority: Priority::new(150),
                interval: settings.interval,
                addresses: settings.addresses.iter().map(|address| address.ip).collect(),
                password: match settings.authentication {
                    Authentication::Pass(password) => Some(password),
                    _ => None,
                },
            },
            coverage: Coverage::default(),
            hmac: match &settings.authentication {
                Authentication::Hmac(hmac) => Some(hmac.clone()),
                _ => None,
            },
            bytes: Vec::new(),
            length: None,
        }
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = self.advertisement.encode(self.source, self.destination, self.coverage);
        for &(at, value) in &self.bytes {
            if at < 6 {
                // Ones' complement: what the word gains, the checksum loses.
                let shift = if at % 2 == 0 { 8 } else { 0 };
                let gained = (i32::from(value) - i32::from(payload[at])) << shift;
                let sum = i32::from(u16::from_be_bytes([payload[6], payload[7]]));
                let mended = u16::try_from((sum - gained).rem_euclid(0xffff)).unwrap();
                payload[6..8].copy_from_slice(&mended.to_be_bytes());
            }
            payload[at] = value;
        }
        if let Some(hmac) = &self.hmac {
            let vrid = self.advertisement.vrid;
            let binding = Binding { version: self.advertisement.version, vrid, source: self.source };
            super::super::hmac::seal(hmac, &binding, 1_750_000_000 << 32, &mut payload);
        }
        if let Some(length) = self.length {
            payload.resize(length, 0);
        }
        payload
    }
}

/// A machine with `settings` as backup, and what it makes of the messages.
struct Listener {
    machine: Machine,
    now: Instant,
}

impl Listener {
    fn new(settings: Settings) -> Self {
        let own: IpAddr = if settings.family == Family::V4 { OWN.into() } else { "fe80::2".parse().unwrap() };
        let mut machine = Machine::new(Params::new(settings).unwrap());
        let now = epoch();
        machine.link(now, Link::Up { source: own });
        machine.set_wall_clock(now, Duration::from_secs(1_750_000_000));
        machine.start(now, false);
        while machine.poll_action().is_some() {}
        Self { machine, now }
    }

    fn hear(&mut self, sent: &Sent) -> Vec<String> {
        let payload = sent.payload();
        let Sent { source, destination, hop_limit, .. } = *sent;
        let received = Received { source, destination, hop_limit, payload: &payload };
        self.machine.receive(self.now, &received);
        std::iter::from_fn(|| self.machine.poll_action())
            .filter(|action| !matches!(action, Action::Send { .. }))
            .map(|action| said(&action))
            .collect()
    }

    fn received(&self) -> u64 {
        self.machine.status(self.now).counters.received
    }
}

/// The unchanged message passes; the changed one is refused for `refusal`, counted each time, noted once a minute.
fn row(settings: &Settings, refusal: Refusal, change: impl FnOnce(&mut Sent)) {
    let mut listener = Listener::new(settings.clone());
    listener.hear(&Sent::like(settings));
    assert_eq!(listener.received(), 1, "the unchanged message passes");

    let mut listener = Listener::new(settings.clone());
    let mut sent = Sent::like(settings);
    change(&mut sent);
    let (deadline, noted) = (listener.machine.next_deadline(), refusal.is_noted());
    let note = |times| if noted { vec![format!("refused {times}: {}", refusal.name())] } else { vec![] };
    assert_eq!(listener.hear(&sent), note(1));
    for _ in 0..9 {
        assert_eq!(listener.hear(&sent), [""; 0], "one note a minute");
    }
    let status = listener.machine.status(listener.now);
    assert_eq!((status.counters.refused(refusal), status.counters.received), (10, 0));
    assert_eq!(status.last_heard, None);
    assert_eq!(listener.machine.next_deadline(), deadline, "what is refused moves no timer");
    // After a minute once more; the machine was not called meanwhile, which it notes as well.
    listener.now += MINUTE;
    listener.machine.set_wall_clock(listener.now, Duration::from_secs(1_750_000_000));
    let again = listener.hear(&sent);
    assert_eq!(
        again.iter().filter(|said| said.starts_with("refused")).cloned().collect::<Vec<_>>(),
        note(10)
    );
}

#[test]
fn row_0_a_message_shorter_than_its_header() {
    row(&v3(), Refusal::Truncated, |sent| sent.length = Some(7));
}

#[test]
fn row_1_another_virtual_router() {
    row(&v3(), Refusal::OtherRouter, |sent| sent.advertisement.vrid = VirtualRouterId::new(52).unwrap());
}

#[test]
fn row_2_a_router_that_does_not_run() {
    let sent = Sent::like(&v3());
    let mut listener = Listener::new(v3());
    listener.machine.link(listener.now, Link::Down);
    while listener.machine.poll_action().is_some() {}
    assert_eq!(listener.hear(&sent), [""; 0]);
    assert_eq!(listener.machine.status(listener.now).counters.refused(Refusal::NotRunning), 1);
}

#[test]
fn row_3_the_authentication_header_is_counted_where_the_datagram_is_read() {
    let mut listener = Listener::new(v2());
    listener.machine.refuse(listener.now, Refusal::Protocol, PEER.into());
    assert_eq!(listener.machine.status(listener.now).counters.refused(Refusal::Protocol), 1);
    assert_eq!(
        listener.machine.poll_action().map(|action| said(&action)).as_deref(),
        Some("refused 1: protocol")
    );
}

#[test]
fn row_4_a_length_that_is_not_what_it_announces() {
    row(&v3(), Refusal::Length, |sent| sent.length = Some(11));
    row(&v3(), Refusal::Length, |sent| sent.length = Some(13));
    row(&v2(), Refusal::Length, |sent| sent.length = Some(12));
    row(&v3(), Refusal::Length, |sent| sent.bytes.push((3, 2)));
}

#[test]
fn row_5_a_message_that_a_router_has_passed_on() {
    row(&v3(), Refusal::HopLimit, |sent| sent.hop_limit = 254);
    row(&v6(), Refusal::HopLimit, |sent| sent.hop_limit = 64);
}

#[test]
fn row_5_unicast_comes_from_as_far_as_its_peer_may_be() {
    let any = unicast(v3(), 1);
    let mut listener = Listener::new(any.clone());
    listener.hear(&Sent { hop_limit: 1, ..Sent::like(&any) });
    assert_eq!(listener.received(), 1);
    row(&unicast(v3(), 255), Refusal::HopLimit, |sent| sent.hop_limit = 254);
}

#[test]
fn row_6_another_version() {
    row(&v3(), Refusal::Version, |sent| {
        (sent.advertisement.version, sent.advertisement.interval) = (Version::V2, Interval::SECOND);
    });
    row(&v2(), Refusal::Version, |sent| sent.advertisement.version = Version::V3);
}

#[test]
fn row_7_the_hmac() {
    let key = |id, byte| Key { id, secret: vec![byte; 32] };
    let hmac = |mode| Hmac { keys: vec![key(1, 1)], active_key: 1, mode, window: None };
    let with = |mode| Settings { authentication: Authentication::Hmac(hmac(mode)), ..unicast(v3(), 1) };
    let enforce = with(Mode::Enforce);
    row(&enforce, Refusal::HmacTrailer, |sent| sent.hmac = None);
    let other = |id, byte| Hmac { keys: vec![key(id, byte)], active_key: id, ..hmac(Mode::Enforce) };
    row(&enforce, Refusal::HmacKey, |sent| sent.hmac = Some(other(2, 1)));
    row(&enforce, Refusal::HmacWrong, |sent| sent.hmac = Some(other(1, 2)));
    // Unasked for.
    row(&unicast(v3(), 1), Refusal::HmacTrailer, |sent| sent.hmac = Some(hmac(Mode::Enforce)));
    // Seen before.
    let mut listener = Listener::new(enforce.clone());
    listener.hear(&Sent::like(&enforce));
    assert_eq!(listener.hear(&Sent::like(&enforce)), ["refused 1: hmac-replayed"]);
    // Ten seconds old, with a window of five. The machine was not called meanwhile, which it notes.
    let mut listener = Listener::new(enforce.clone());
    listener.now += Duration::from_secs(10);
    assert_eq!(listener.hear(&Sent::like(&enforce)), ["! Stalled", "refused 1: hmac-stale"]);
}

#[test]
fn row_8_the_password() {
    let password = |text| Authentication::Pass(Password::new(text));
    let with = Settings { authentication: password("secret12"), ..v2() };
    row(&with, Refusal::Password, |sent| sent.advertisement.password = Some(Password::new("secret13")));
    row(&with, Refusal::AuthenticationType, |sent| sent.advertisement.password = None);
    row(&v2(), Refusal::AuthenticationType, |sent| sent.advertisement.password = Some(Password::new("")));
    row(&v2(), Refusal::AuthenticationType, |sent| sent.bytes.push((4, 2)));
}

#[test]
fn row_9_version_2_insists_on_the_interval_and_version_3_does_not() {
    row(&v2(), Refusal::Interval, |sent| sent.advertisement.interval = Interval::from_secs(2).unwrap());
    row(&v2(), Refusal::Interval, |sent| sent.bytes.push((5, 0)));
    let mut listener = Listener::new(v3());
    let mut sent = Sent::like(&v3());
    sent.advertisement.interval = Interval::from_centis(20).unwrap();
    assert_eq!(listener.hear(&sent), ["! PeerChecksum", "! IntervalDiffers"]);
    assert_eq!(listener.received(), 1);
}

#[test]
fn row_10_another_type() {
    row(&v3(), Refusal::Type, |sent| sent.bytes.push((0, 0x32)));
    row(&v2(), Refusal::Type, |sent| sent.bytes.push((0, 0x20)));
}

#[test]
fn row_11_a_wrong_checksum() {
    for (settings, at) in [(v3(), 11), (v2(), 11), (v6(), 30)] {
        row(&settings, Refusal::Checksum, |sent| sent.bytes.push((at, 0x99)));
    }
}

#[test]
fn row_11_both_checksums_are_taken_and_told_apart() {
    for coverage in [Coverage::WithPseudoHeader, Coverage::MessageOnly] {
        let mut listener = Listener::new(v3());
        listener.hear(&Sent { coverage, ..Sent::like(&v3()) });
        assert_eq!(listener.machine.status(listener.now).peer_checksum, Some(coverage));
    }
}

#[test]
fn row_12_multicast_for_a_unicast_router_and_the_other_way_round() {
    row(&v3(), Refusal::Delivery, |sent| sent.destination = OWN.into());
    row(&unicast(v3(), 1), Refusal::Delivery, |sent| sent.destination = Family::V4.group());
}

#[test]
fn row_13_an_owner_listens_to_other_owners() {
    let mut settings = v3();
    settings.priority = Priority::OWNER;
    let mut listener = Listener::new(settings.clone());
    listener.hear(&Sent::like(&settings));
    assert_eq!(listener.received(), 1);
}

#[test]
fn row_14_other_addresses_are_an_alarm_and_no_reason_to_drop() {
    let mut listener = Listener::new(v3());
    let mut sent = Sent::like(&v3());
    sent.advertisement.addresses.push([10, 99, 0, 51].into());
    assert_eq!(listener.hear(&sent), ["! PeerChecksum", "! AddressesDiffer"]);
    let status = listener.machine.status(listener.now);
    assert_eq!(status.counters.received, 1);
    assert_eq!(status.alarms.len(), 1);
    assert_eq!(listener.hear(&sent), [""; 0]);
    assert_eq!(listener.hear(&Sent::like(&v3())), ["! AddressesAgree"]);
    assert_eq!(listener.machine.status(listener.now).alarms, []);
}

#[test]
fn row_14_the_order_of_addresses_does_not_matter_and_their_number_does() {
    let two = || Settings {
        addresses: [50, 51].map(|last| Address { ip: [10, 99, 0, last].into(), prefix: 24 }).to_vec(),
        ..v3()
    };
    for (lasts, same) in [([50, 51], true), ([51, 50], true), ([50, 50], false), ([50, 52], false)] {
        let mut sent = Sent::like(&two());
        sent.advertisement.addresses = lasts.map(|last| IpAddr::from([10, 99, 0, last])).to_vec();
        let mut listener = Listener::new(two());
        listener.hear(&sent);
        assert_eq!(listener.machine.status(listener.now).alarms.is_empty(), same, "{lasts:?}");
    }
}

#[test]
fn row_15_a_sender_that_is_no_peer() {
    row(&unicast(v3(), 1), Refusal::Stranger, |sent| sent.source = [10, 99, 0, 7].into());
}

#[test]
fn row_16_interval_0_no_address_and_a_first_address_that_is_not_link_local() {
    row(&v3(), Refusal::ZeroInterval, |sent| sent.bytes.push((5, 0)));
    row(&v3(), Refusal::NoAddress, |sent| sent.advertisement.addresses.clear());
    row(&v6(), Refusal::NotLinkLocal, |sent| sent.advertisement.addresses.reverse());
}

#[test]
fn row_17_our_own_message() {
    row(&v3(), Refusal::OwnMessage, |sent| sent.source = OWN.into());
}

#[test]
fn what_is_wrong_with_a_neighbour_is_an_alarm() {
    use super::super::status::AlarmKind;
    let alarms = |settings: Settings, change: &dyn Fn(&mut Sent)| {
        let mut listener = Listener::new(settings.clone());
        let mut sent = Sent::like(&settings);
        change(&mut sent);
        listener.hear(&sent);
        let kinds = |now| -> Vec<AlarmKind> {
            listener.machine.status(now).alarms.iter().map(|alarm| alarm.kind).collect()
        };
        assert_eq!(kinds(listener.now + MINUTE), [], "it ends when nothing is heard for a minute");
        kinds(listener.now)
    };
    let other = |version| move |sent: &mut Sent| sent.advertisement.version = version;
    assert_eq!(alarms(v2(), &other(Version::V3)), [AlarmKind::Version]);
    let slow = |sent: &mut Sent| sent.advertisement.interval = Interval::from_secs(2).unwrap();
    assert_eq!(alarms(v2(), &slow), [AlarmKind::IntervalDiffers]);
    let password = |sent: &mut Sent| sent.advertisement.password = Some(Password::new("x"));
    assert_eq!(alarms(v2(), &password), [AlarmKind::Authentication]);
    let equal = |sent: &mut Sent| sent.advertisement.priority = Priority::new(100);
    assert_eq!(alarms(v3(), &equal), [AlarmKind::EqualPriority]);
    assert_eq!(alarms(v3(), &|_| {}), []);
}
