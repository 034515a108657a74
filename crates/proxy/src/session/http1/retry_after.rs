//! How long a server wishes to be left alone: `Retry-After` of its response (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use evenkeel_http::head::ResponseHead;

/// The wish, if there is one that can be understood: seconds, or the time from `now` to a date. A date that has passed
/// is a wish of no time.
pub(super) fn wish(response: &ResponseHead, now: SystemTime) -> Option<Duration> {
    response.fields.named("retry-after").find_map(|value| duration(value, now))
}

fn duration(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MOMENT: Duration = Duration::from_secs(784_111_777);

    fn read(value: &str) -> Option<Duration> {
        duration(value.as_bytes(), SystemTime::UNIX_EPOCH + MOMENT)
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_date_is_read_in_all_three_forms() {
        for date in
            ["Sun, 06 Nov 1994 08:51:37 GMT", "Sunday, 06-Nov-94 08:51:37 GMT", "Sun Nov  6 08:51:37 1994"]
        {
            assert_eq!(read(date), Some(Duration::from_secs(120)), "{date}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_neither_is_no_wish() {
        for value in ["", "soon", "-5", "1.5", "+5", "Sun, 06 Nov"] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
