//! The time of day as log lines show it. A second is spelt once and used by all lines of that second.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, spelt; always UTC.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    second: u64,
    micros: u32,
    /// `2026-11-22T19:17:40`.
    iso: String,
    /// `22/Nov/2026:19:17:40 +0000`.
    common: String,
}

impl Stamp {
    /// Moves to another moment. A clock before 1970 reads as 1970.
    pub(crate) fn set(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.micros = since.subsec_micros();
        if self.second != since.as_secs() || self.iso.is_empty() {
            self.second = since.as_secs();
            self.spell();
        }
    }

    /// `2026-11-22T19:17:40` and the microseconds.
    pub(super) fn iso(&self) -> (&str, u32) {
        (&self.iso, self.micros)
    }

    /// `22/Nov/2026:19:17:40 +0000`.
    pub(super) fn common(&self) -> &str {
        &self.common
    }

    fn spell(&mut self) {
        use std::fmt::Write;
        let (days, second) = (self.second / 86_400, self.second % 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (year, month, day) = date(days);
        self.iso.clear();
        self.common.clear();
        let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"");
        // Writing to a string cannot fail.
        let _ = write!(self.iso, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let _ = write!(self.common, "{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000");
    }
}

/// Year, month and day of so many days after 1970-01-01, in the Gregorian calendar. Years are counted from March, so
/// that the leap day is a year's last; 146,097 days are 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March on have 153 days, again and again.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + later, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spelt(second: u64) -> (String, String) {
        let mut stamp = Stamp::default();
        stamp.set(UNIX_EPOCH + Duration::from_secs(second));
        (stamp.iso.clone(), stamp.common.clone())
    }

    #[test]
    fn known_moments_are_spelt() {
        assert_eq!(spelt(0), ("1970-01-01T00:00:00".into(), "01/Jan/1970:00:00:00 +0000".into()));
        // RFC 9110 §5.6.7 spells this one.
        assert_eq!(spelt(784_111_777).0, "1994-11-06T08:49:37");
        // Leap days of a year that a century divides, and the day after.
        assert_eq!(spelt(951_782_400).1, "29/Feb/2000:00:00:00 +0000");
        assert_eq!(spelt(951_868_799).0, "2000-02-29T23:59:59");
        assert_eq!(spelt(951_868_800).0, "2000-03-01T00:00:00");
        // 2100 has none.
        assert_eq!(spelt(4_107_542_400).0, "2100-03-01T00:00:00");
        assert_eq!(spelt(4_107_542_399).0, "2100-02-28T23:59:59");
    }

    #[test]
    fn a_second_is_spelt_again_when_it_changes() {
        let mut stamp = Stamp::default();
        stamp.set(UNIX_EPOCH + Duration::from_micros(1_000_250));
        assert_eq!(stamp.iso(), ("1970-01-01T00:00:01", 250));
        stamp.set(UNIX_EPOCH + Duration::from_micros(1_999_999));
        assert_eq!(stamp.iso(), ("1970-01-01T00:00:01", 999_999));
        stamp.set(UNIX_EPOCH + Duration::from_secs(61));
        assert_eq!(stamp.iso(), ("1970-01-01T00:01:01", 0));
    }
}
