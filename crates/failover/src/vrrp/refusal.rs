//! Why a message was not believed. One kind for each check, so that each can be counted.

use std::fmt;

/// A reason to drop a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Shorter than its headers say, or a part of a datagram.
    Truncated,
    /// Another protocol, or the authentication header of old VRRP.
    Protocol,
    /// Another virtual router.
    OtherRouter,
    /// Not running at the moment.
    NotRunning,
    /// A version that is not ours, or none.
    Version,
    /// More or fewer bytes than it announces.
    Length,
    /// It has come over a router: the hop limit is not what it was sent with.
    HopLimit,
    /// Authentication of another kind than ours.
    AuthenticationType,
    /// The wrong password.
    Password,
    /// A trailer is missing, or came unasked or malformed.
    HmacTrailer,
    /// A key that we do not know.
    HmacKey,
    /// The sender's clock and ours are too far apart.
    HmacStale,
    /// The HMAC is not right.
    HmacWrong,
    /// It was seen before.
    HmacReplayed,
    /// Version 2 with another interval than ours (RFC 3768 §7.1).
    Interval,
    /// Not an advertisement.
    Type,
    /// The checksum is wrong in every way that is in use.
    Checksum,
    /// Sent to the group where peers are configured, or the other way round.
    Delivery,
    /// From a host that is not one of the peers.
    Stranger,
    /// Version 3 with interval 0 (erratum 8301).
    ZeroInterval,
    /// No address at all (RFC 9568 §5.2.5, erratum 8299).
    NoAddress,
    /// The first address of an IPv6 router is not link-local (erratum 8300).
    NotLinkLocal,
    /// It carries our own address as sender.
    OwnMessage,
}

impl Refusal {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::Truncated,
        Self::Protocol,
        Self::OtherRouter,
        Self::NotRunning,
        Self::Version,
        Self::Length,
        Self::HopLimit,
        Self::AuthenticationType,
        Self::Password,
        Self::HmacTrailer,
        Self::HmacKey,
        Self::HmacStale,
        Self::HmacWrong,
        Self::HmacReplayed,
        Self::Interval,
        Self::Type,
        Self::Checksum,
        Self::Delivery,
        Self::Stranger,
        Self::ZeroInterval,
        Self::NoAddress,
        Self::NotLinkLocal,
        Self::OwnMessage,
    ];

    /// The place in [`Refusal::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in metrics and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::OtherRouter => "other-router",
            Self::NotRunning => "not-running",
            Self::Version => "version",
            Self::Length => "length",
            Self::HopLimit => "hop-limit",
            Self::AuthenticationType => "authentication-type",
            Self::Password => "password",
            Self::HmacTrailer => "hmac-trailer",
            Self::HmacKey => "hmac-key",
            Self::HmacStale => "hmac-stale",
            Self::HmacWrong => "hmac-wrong",
            Self::HmacReplayed => "hmac-replayed",
            Self::Interval => "interval",
            Self::Type => "type",
            Self::Checksum => "checksum",
            Self::Delivery => "delivery",
            Self::Stranger => "stranger",
            Self::ZeroInterval => "zero-interval",
            Self::NoAddress => "no-address",
            Self::NotLinkLocal => "not-link-local",
            Self::OwnMessage => "own-message",
        }
    }

    /// Whether the operator is told. Other routers on the link, and messages that come while we do not
    /// run, are normal.
    #[must_use]
    pub fn is_noted(self) -> bool {
        !matches!(self, Self::OtherRouter | Self::NotRunning)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "it is cut off",
            Self::Protocol => "it is not plain VRRP; the authentication header (AH) is not understood",
            Self::OtherRouter => "it is for another virtual router",
            Self::NotRunning => "the virtual router does not run",
            Self::Version => "its version is not ours: set the same version on both nodes",
            Self::Length => "its length is not what it announces",
            Self::HopLimit => "it came from beyond this link, or its TTL was not 255",
            Self::AuthenticationType => "its kind of authentication is not ours: set the same on both nodes",
            Self::Password => "its password is wrong",
            Self::HmacTrailer => "its HMAC trailer is missing, unasked or malformed",
            Self::HmacKey => "its HMAC key is unknown here",
            Self::HmacStale => "its time is too far from ours: are both clocks right?",
            Self::HmacWrong => "its HMAC is wrong",
            Self::HmacReplayed => "it was sent before: a repeated message, or a clock that went back",
            Self::Interval => {
                "its interval is not ours, which version 2 requires: set the same on both nodes"
            }
            Self::Type => "it is no advertisement",
            Self::Checksum => "its checksum is wrong",
            Self::Delivery => "one node uses multicast and the other unicast",
            Self::Stranger => "its sender is not one of the peers",
            Self::ZeroInterval => "its interval is zero",
            Self::NoAddress => "it has no address",
            Self::NotLinkLocal => "its first address is not link-local",
            Self::OwnMessage => {
                "it carries our own address: the network has a loop, or another host our address"
            }
        })
    }
}
