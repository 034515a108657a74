//! What a virtual router is: everything an operator decides about it, checked once.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::authentication::Authentication;
use super::check::check;
use super::interval::Interval;

/// The most addresses of an IPv4 virtual router: the count has one byte.
pub const MOST_ADDRESSES_V4: usize = 255;
/// The most addresses of an IPv6 virtual router: what fits 1500 bytes beside header and trailer.
pub const MOST_ADDRESSES_V6: usize = 88;
/// The most unicast peers.
pub const MOST_PEERS: usize = 32;
/// The most announcements in a row.
pub const MOST_ANNOUNCEMENTS: u8 = 20;
/// The longest delay of preemption, as in keepalived.
pub const LONGEST_PREEMPT_DELAY: Duration = Duration::from_secs(1000);

/// The version of the protocol; nodes of different versions do not understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// RFC 3768; IPv4 only, whole seconds.
    V2,
    /// RFC 9568.
    V3,
}

/// The family of addresses that a virtual router speaks and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The group to which advertisements go (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[must_use]
    pub fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([224, 0, 0, 18]),
            Self::V6 => IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12]),
        }
    }
}

/// The number of a virtual router on its link, 1 to 255 (VRID).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VirtualRouterId(pub NonZeroU8);

impl VirtualRouterId {
    /// `None` for 0.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        NonZeroU8::new(number).map(Self)
    }

    /// As a number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0.get()
    }
}

/// Who shall be active: the higher one. 255 is the owner; 0 does not exist here, on the wire it means release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The router to which the addresses belong; always preempts, and nothing changes its priority.
    pub const OWNER: Self = Self(NonZeroU8::MAX);
    /// keepalived's and the RFC's default.
    pub const DEFAULT: Self = Self(NonZeroU8::new(100).unwrap());
    /// The least.
    pub const LEAST: Self = Self(NonZeroU8::MIN);
    /// The most that is not the owner's.
    pub const MOST: Self = Self(NonZeroU8::new(254).unwrap());

    /// `None` for 0.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        NonZeroU8::new(number).map(Self)
    }

    /// As a number, 1 to 255.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0.get()
    }

    /// Whether it is 255.
    #[must_use]
    pub fn is_owner(self) -> bool {
        self == Self::OWNER
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a backup takes over from an active router of lower priority that is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preempt {
    /// Yes.
    #[default]
    Yes,
    /// No. An owner (255) does all the same.
    No,
    /// Only after it has heard lower priorities for this long.
    After(Duration),
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// 0 to 32 or 0 to 128.
    pub prefix: u8,
}

/// How advertisements travel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// To everybody on the link.
    #[default]
    Multicast,
    /// A copy to each of these; only from these is anything accepted.
    Unicast(Vec<Peer>),
}

/// Another router of the same virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What its messages need to have left as TTL or hop limit: 255 for a neighbour on the link, 1 for any distance.
    pub least_hop_limit: u8,
}

/// What the checksum of version 3 over IPv4 covers. Both are accepted, this one is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// Addresses, length and message: keepalived, FRRouting.
    #[default]
    WithPseudoHeader,
    /// The message alone: RFC 9568 §5.2.8, Cisco, Juniper.
    MessageOnly,
}

/// How often neighbours are told where the addresses live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcing {
    /// This many times in a row, 1 to [`MOST_ANNOUNCEMENTS`].
    pub count: u8,
    /// Then the same once more after this; zero: not again.
    pub again_after: Duration,
    /// And once every so often while active; `None`: never.
    pub refresh: Option<Duration>,
}

impl Default for Announcing {
    /// Five at once and five after 5 s, as keepalived; one every 60 s, because the memory of a switch is shorter than
    /// that of a router.
    fn default() -> Self {
        Self { count: 5, again_after: Duration::from_secs(5), refresh: Some(Duration::from_secs(60)) }
    }
}

/// What an operator decides about one virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The version that is spoken.
    pub version: Version,
    /// The family that is spoken, and of all addresses.
    pub family: Family,
    /// The number on the link.
    pub vrid: VirtualRouterId,
    /// The priority before anything is tracked.
    pub priority: Priority,
    /// How often the active router advertises.
    pub interval: Interval,
    /// Whether a living router of lower priority is displaced.
    pub preempt: Preempt,
    /// What is held while active, in the order in which it is advertised; of IPv6 the first is link-local.
    pub addresses: Vec<Address>,
    /// To everybody or to peers.
    pub delivery: Delivery,
    /// What the checksum covers.
    pub checksum: Coverage,
    /// Password or HMAC.
    pub authentication: Authentication,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    pub announcing: Announcing,
}

impl Settings {
    /// The defaults for one router: priority 100, one second, preempting, multicast.
    #[must_use]
    pub fn new(version: Version, family: Family, vrid: VirtualRouterId, addresses: Vec<Address>) -> Self {
        Self {
            version,
            family,
            vrid,
            priority: Priority::DEFAULT,
            interval: Interval::SECOND,
            preempt: Preempt::default(),
            addresses,
            delivery: Delivery::default(),
            checksum: Coverage::default(),
            authentication: Authentication::default(),
            announcing: Announcing::default(),
        }
    }
}

/// [`Settings`] that agree with each other and with the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Params(Settings);

impl Params {
    /// Everything that is wrong, if something is.
    pub fn new(settings: Settings) -> Result<Self, Vec<Invalid>> {
        let found = check(&settings);
        if found.is_empty() { Ok(Self(settings)) } else { Err(found) }
    }

    /// What was decided.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0
    }
}

impl TryFrom<Settings> for Params {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        Self::new(settings)
            .map_err(|found| found.iter().map(|invalid| invalid.what.as_str()).collect::<Vec<_>>().join("; "))
    }
}

impl From<Params> for Settings {
    fn from(params: Params) -> Self {
        params.0
    }
}

/// What is wrong with [`Settings`], as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The part at fault.
    pub part: Part,
    /// What is wrong and what to do.
    pub what: String,
}

/// The parts of [`Settings`] that may be wrong by themselves or together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// [`Settings::version`].
    Version,
    /// [`Settings::interval`].
    Interval,
    /// [`Settings::preempt`].
    Preempt,
    /// [`Settings::addresses`].
    Addresses,
    /// [`Settings::delivery`].
    Delivery,
    /// [`Settings::authentication`].
    Authentication,
    /// [`Settings::announcing`].
    Announcing,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
