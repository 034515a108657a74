//! What a request says in its body, its query and its conditions, with a bound and a clear no for the rest.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use evenkeel_config::overlay::Conditions;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The largest body of a request, in bytes; then 413.
pub const LARGEST_BODY: usize = 16 * 1024;
/// How long a body may take; then 408.
const LONGEST_BODY: Duration = Duration::from_secs(10);
/// The most tags in `If-Match`.
const MOST_TAGS: usize = 32;

/// A request that makes no sense.
pub(super) fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Reads a JSON document.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !["application/json", "application/merge-patch+json"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
    {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON: send `Content-Type: application/json`",
        ));
    }
    let bytes = match tokio::time::timeout(LONGEST_BODY, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let what = format!("the body is larger than {LARGEST_BODY} bytes: a server takes a few lines");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what));
        }
        Ok(Err(error)) => return Err(wrong(format!("the body broke off: {error}"))),
        Err(_) => {
            let what = format!("the body took more than {} s", LONGEST_BODY.as_secs());
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, what));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("the body cannot be understood: {error}")))
}

/// A query of known names, each once.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    /// Values need no escapes: they are words, numbers and durations.
    pub(super) fn read(query: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            if !known.contains(&name) || pairs.iter().any(|(earlier, _)| *earlier == name) {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let known = if known.is_empty() { "nothing".into() } else { known.join(", ") };
                return Err(wrong(format!("the query may say {known}, each once")));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Reads `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
pub(super) fn conditions(headers: &HeaderMap) -> Result<Conditions, Problem> {
    let mut conditions = Conditions::default();
    for value in headers.get_all(header::IF_NONE_MATCH) {
        if value.as_bytes().trim_ascii() != b"*" {
            return Err(wrong("`If-None-Match` is `*` here: it asks that there is no such server yet"));
        }
        conditions.only_new = true;
    }
    for value in headers.get_all(header::IF_MATCH) {
        let value = value.to_str().map_err(|_| wrong("`If-Match` is no text"))?.trim();
        let tags = conditions.if_match.get_or_insert_default();
        if value == "*" {
            continue;
        }
        for tag in value.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let quoted = tag.strip_prefix("W/").unwrap_or(tag);
            let fits = quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"');
            if !fits || tags.len() >= MOST_TAGS {
                return Err(wrong("`If-Match` is `*` or the `ETag` of an answer, with its quotes"));
            }
            // One that is weak stays as it is and so equals none, as it must.
            tags.push(tag.to_owned());
        }
        if tags.is_empty() {
            return Err(wrong("`If-Match` is empty: send `*` or an `ETag`"));
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: header::HeaderName, value: &str) -> Result<Conditions, Problem> {
        let mut headers = HeaderMap::new();
        headers.append(name, value.parse().unwrap());
        conditions(&headers)
    }

    #[test]
    fn conditions_are_a_star_or_tags() {
        let tags = |tags: &[&str]| Some(tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        let if_match = |value| read(header::IF_MATCH, value).map(|conditions| conditions.if_match).ok();
        assert_eq!(if_match("*"), Some(tags(&[])));
        assert_eq!(if_match("\"a\", \"b\""), Some(tags(&["\"a\"", "\"b\""])));
        assert_eq!(if_match("W/\"a\""), Some(tags(&["W/\"a\""])));
        for bad in ["a", "\"", "", ","] {
            assert_eq!(if_match(bad), None, "{bad}");
        }
        assert!(read(header::IF_NONE_MATCH, "*").unwrap().only_new);
        assert!(read(header::IF_NONE_MATCH, "\"a\"").is_err());
    }

    #[test]
    fn a_query_says_known_names_once() {
        let query = Query::read(Some("force&drain-timeout=5s"), &["force", "drain-timeout"]).unwrap();
        assert_eq!((query.value("force"), query.value("drain-timeout")), (Some("true"), Some("5s")));
        assert!(Query::read(Some("a=1&a=2"), &["a"]).is_err());
        assert!(Query::read(Some("b=1"), &["a"]).is_err());
        assert_eq!(Query::read(None, &["a"]).unwrap().value("a"), None);
    }
}
