//! Durations and sizes as the file writes them: `"1m30s"`, `"0.1s"`, `"16KiB"`.

use std::fmt;
use std::time::Duration;

/// The longest text that is looked at; anything longer is no duration and no size.
const LONGEST: usize = 64;

const DAY: &str = "d";
const DURATION_UNITS: &[(&str, u64)] = &[
    (DAY, 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];
const SIZE_UNITS: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// A number without a unit.
    NoUnit,
    /// An unknown unit.
    Unit(String),
    /// A part of the same or a larger unit follows a smaller one.
    Order,
    /// More than the program can count.
    TooLarge,
    /// Finer than one nanosecond or one byte.
    TooFine,
    /// Anything else.
    Other,
}

/// Reads a duration: one or more numbers with the units `d`, `h`, `m`, `s`, `ms`, larger ones first.
pub(crate) fn duration(text: &str) -> Result<Duration, Invalid> {
    parse(text, DURATION_UNITS).map(Duration::from_nanos)
}

/// Reads a size in bytes: a number with the unit `B`, `KiB`, `MiB` or `GiB`.
pub(crate) fn size(text: &str) -> Result<u64, Invalid> {
    parse(text, SIZE_UNITS)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Result<u64, Invalid> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(Invalid::Other);
    }
    let mut rest = text;
    let mut sum: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        rest = after;
        if number.is_empty() {
            return Err(Invalid::Other);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
            return Err(Invalid::Other);
        }
        if unit.is_empty() {
            return Err(Invalid::NoUnit);
        }
        let Some(&(_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
            return Err(Invalid::Unit(unit.to_owned()));
        };
        if factor >= smallest {
            return Err(Invalid::Order);
        }
        smallest = factor;
        let whole: u64 = whole.parse().map_err(|_| Invalid::TooLarge)?;
        let part = whole.checked_mul(factor).ok_or(Invalid::TooLarge)?;
        let part = part.checked_add(part_of(fraction, factor)?).ok_or(Invalid::TooLarge)?;
        sum = sum.checked_add(part).ok_or(Invalid::TooLarge)?;
    }
    Ok(sum)
}

/// `fraction` (the digits after the point) of `factor`, exactly.
fn part_of(fraction: &str, factor: u64) -> Result<u64, Invalid> {
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Ok(0);
    }
    let digits = u32::try_from(fraction.len()).map_err(|_| Invalid::TooFine)?;
    let scale = 10_u128.checked_pow(digits).ok_or(Invalid::TooFine)?;
    let numerator: u128 = fraction.parse().map_err(|_| Invalid::TooFine)?;
    let product = numerator.checked_mul(u128::from(factor)).ok_or(Invalid::TooFine)?;
    if product % scale != 0 {
        return Err(Invalid::TooFine);
    }
    u64::try_from(product / scale).map_err(|_| Invalid::TooLarge)
}

/// A duration as the file writes it, so that it reads back as the same.
pub(crate) struct ShownDuration(pub(crate) Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        // A day is written as 24h: people compare timeouts in hours.
        for &(unit, factor) in DURATION_UNITS.iter().filter(|(unit, _)| *unit != DAY) {
            let factor = u128::from(factor);
            let count = rest / factor;
            let last = unit == "ms";
            if count > 0 || (last && rest > 0) {
                write!(f, "{count}")?;
                rest %= factor;
                if last && rest > 0 {
                    write!(f, ".{}", format!("{rest:06}").trim_end_matches('0'))?;
                }
                f.write_str(unit)?;
            }
        }
        Ok(())
    }
}

/// A size as the file writes it, so that it reads back as the same.
pub(crate) struct ShownSize(pub(crate) u64);

impl fmt::Display for ShownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &(unit, factor) in SIZE_UNITS {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, millis) in [
            ("250ms", 250),
            ("0.1s", 100),
            ("2s", 2_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("0.000001ms"), Ok(Duration::from_nanos(1)));
    }

    #[test]
    fn each_bad_duration_has_its_reason() {
        assert_eq!(duration("30"), Err(Invalid::NoUnit));
        assert_eq!(duration("30sec"), Err(Invalid::Unit("sec".into())));
        assert_eq!(duration("1s1m"), Err(Invalid::Order));
        assert_eq!(duration("1s1s"), Err(Invalid::Order));
        assert_eq!(duration("99999999999999999999h"), Err(Invalid::TooLarge));
        assert_eq!(duration("9999999999h"), Err(Invalid::TooLarge));
        assert_eq!(duration("0.0000000001s"), Err(Invalid::TooFine));
        for text in ["", "s", "-1s", "1..5s", ".5s", "5.s", "soon"] {
            assert_eq!(duration(text), Err(Invalid::Other), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_exactly() {
        assert_eq!(size("500B"), Ok(500));
        assert_eq!(size("16KiB"), Ok(16_384));
        assert_eq!(size("1.5MiB"), Ok(1_572_864));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(size("16KB"), Err(Invalid::Unit("KB".into())));
        assert_eq!(size("0.3KiB"), Err(Invalid::TooFine));
        assert_eq!(size("16"), Err(Invalid::NoUnit));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in 0_u64..u64::MAX / 2, bytes in any::<u64>()) {
            let shown = ShownDuration(Duration::from_nanos(nanos)).to_string();
            prop_assert_eq!(duration(&shown), Ok(Duration::from_nanos(nanos)));
            prop_assert_eq!(size(&ShownSize(bytes).to_string()), Ok(bytes));
        }
    }
}
