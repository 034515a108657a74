//! How often an active router advertises. Seconds on the wire of version 2, hundredths on that of version 3: here it is
//! neither, but a duration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::params::Version;

/// The longest interval of version 2: 255 seconds.
pub const LONGEST_V2: Duration = Duration::from_secs(255);
/// The longest interval of version 3: 4095 hundredths of a second.
pub const LONGEST_V3: Duration = Duration::from_millis(40_950);

const HUNDREDTH: Duration = Duration::from_millis(10);

/// An advertisement interval: 10 ms to 255 s, in whole hundredths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Duration", into = "Duration")]
pub struct Interval(Duration);

impl Interval {
    /// One second, the default of both versions.
    pub const SECOND: Self = Self(Duration::from_secs(1));

    /// `None` below 10 ms, above 255 s, and between two hundredths of a second.
    #[must_use]
    pub fn new(duration: Duration) -> Option<Self> {
        let whole = duration.as_nanos().is_multiple_of(HUNDREDTH.as_nanos());
        (whole && (HUNDREDTH..=LONGEST_V2).contains(&duration)).then_some(Self(duration))
    }

    /// From the wire of version 3 (RFC 9568 §5.2.7): 1 to 4095; 0 would make every backup expire at once.
    #[must_use]
    pub fn from_centis(centis: u16) -> Option<Self> {
        ((1..=4095).contains(&centis)).then(|| Self(HUNDREDTH * u32::from(centis)))
    }

    /// From the wire of version 2 (RFC 3768 §5.3.7): 1 to 255.
    #[must_use]
    pub fn from_secs(secs: u8) -> Option<Self> {
        (secs > 0).then(|| Self(Duration::from_secs(u64::from(secs))))
    }

    /// As a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whether a message of `version` can say it.
    #[must_use]
    pub fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.0.subsec_nanos() == 0,
            Version::V3 => self.0 <= LONGEST_V3,
        }
    }

    /// For the wire of version 3; more than 4095 becomes 4095.
    #[must_use]
    pub fn centis(self) -> u16 {
        u16::try_from(self.0.as_millis() / 10).unwrap_or(u16::MAX).min(4095)
    }

    /// For the wire of version 2; a part of a second is cut off.
    #[must_use]
    pub fn secs(self) -> u8 {
        u8::try_from(self.0.as_secs()).unwrap_or(u8::MAX)
    }
}

impl TryFrom<Duration> for Interval {
    type Error = String;

    fn try_from(duration: Duration) -> Result<Self, String> {
        Self::new(duration).ok_or_else(|| {
            format!("{duration:?} is no advertisement interval: 10 ms to 255 s in steps of 10 ms")
        })
    }
}

impl From<Interval> for Duration {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_is_one_second() {
        let second = Some(Interval::SECOND);
        assert_eq!(Interval::from_secs(1), second);
        assert_eq!(Interval::from_centis(100), second);
        assert_eq!(Interval::new(Duration::from_secs(1)), second);
        assert_eq!((Interval::SECOND.secs(), Interval::SECOND.centis()), (1, 100));
    }

    #[test]
    fn bounds_are_those_of_the_wire() {
        assert_eq!(Interval::from_centis(0), None);
        assert_eq!(Interval::from_centis(1).map(Interval::duration), Some(Duration::from_millis(10)));
        assert_eq!(Interval::from_centis(4095).map(Interval::duration), Some(LONGEST_V3));
        assert_eq!(Interval::from_centis(4096), None);
        assert_eq!(Interval::from_secs(0), None);
        assert_eq!(Interval::from_secs(255).map(Interval::duration), Some(LONGEST_V2));
        assert_eq!(Interval::new(Duration::from_millis(15)), None);
        assert_eq!(Interval::new(Duration::from_secs(256)), None);
    }

    #[test]
    fn each_version_has_intervals_it_cannot_say() {
        let tenth = Interval::from_centis(10).unwrap();
        assert!(tenth.fits(Version::V3) && !tenth.fits(Version::V2));
        let minute = Interval::from_secs(60).unwrap();
        assert!(minute.fits(Version::V2) && !minute.fits(Version::V3));
    }
}
