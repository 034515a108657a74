//! How long silence must last (RFC 9568 §6.1, RFC 3768 §6.1).

use std::time::Duration;

use super::interval::Interval;
use super::params::{Priority, Version};

/// Missed advertisements after which the active router is thought dead.
const MISSED: u32 = 3;

/// Who has less priority waits a little longer: up to one second in version 2, one interval in version 3.
#[must_use]
pub fn skew(version: Version, priority: Priority, active_interval: Interval) -> Duration {
    let whole = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => active_interval.duration(),
    };
    whole * (256 - u32::from(priority.number())) / 256
}

/// After this much silence a backup takes over.
#[must_use]
pub fn down_interval(version: Version, priority: Priority, active_interval: Interval) -> Duration {
    active_interval.duration() * MISSED + skew(version, priority, active_interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(version: Version, priority: u8, centis: u16) -> (u128, u128) {
        let (priority, interval) = (Priority::new(priority).unwrap(), Interval::from_centis(centis).unwrap());
        (skew(version, priority, interval).as_nanos(), down_interval(version, priority, interval).as_nanos())
    }

    #[test]
    fn the_skew_of_version_2_does_not_know_the_interval() {
        // (256 - 1) / 256 s = 0.99609375 s
        assert_eq!(nanos(Version::V2, 1, 100), (996_093_750, 3_996_093_750));
        // 156 / 256 s = 0.609375 s
        assert_eq!(nanos(Version::V2, 100, 100), (609_375_000, 3_609_375_000));
        assert_eq!(nanos(Version::V2, 100, 1000), (609_375_000, 30_609_375_000));
        // 2 / 256 s = 7.8125 ms, 1 / 256 s = 3.90625 ms
        assert_eq!(nanos(Version::V2, 254, 100), (7_812_500, 3_007_812_500));
        assert_eq!(nanos(Version::V2, 255, 100), (3_906_250, 3_003_906_250));
    }

    #[test]
    fn the_skew_of_version_3_is_a_part_of_the_interval() {
        // 0.1 s: 255 / 256, 156 / 256, 2 / 256, 1 / 256 of it
        assert_eq!(nanos(Version::V3, 1, 10), (99_609_375, 399_609_375));
        assert_eq!(nanos(Version::V3, 100, 10), (60_937_500, 360_937_500));
        assert_eq!(nanos(Version::V3, 254, 10), (781_250, 300_781_250));
        assert_eq!(nanos(Version::V3, 255, 10), (390_625, 300_390_625));
        // 10 ms at 254: 78.125 µs, less than any millisecond field could hold
        assert_eq!(nanos(Version::V3, 254, 1), (78_125, 30_078_125));
    }
}
