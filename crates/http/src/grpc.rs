//! What gRPC adds to HTTP: a status of its own, in trailers, and a framing of messages.
//!
//! Source: the document "gRPC over HTTP2" of the gRPC project. Only what a balancer must know.

pub mod health;

use http::header::HeaderMap;

use crate::answer::Reason;
use crate::head::RequestHead;

/// The status of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status(u8);

/// The names of the statuses: the place of each is its number. The last one stands for all numbers that nobody knows.
pub const NAMES: [&str; 18] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
    "other",
];

impl Status {
    /// `DEADLINE_EXCEEDED`.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// `RESOURCE_EXHAUSTED`.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// `UNIMPLEMENTED`.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// `INTERNAL`.
    pub const INTERNAL: Self = Self(13);
    /// `UNAVAILABLE`.
    pub const UNAVAILABLE: Self = Self(14);

    /// Reads `grpc-status`; a number that nobody knows, or none at all, is `other`.
    // fuzz: response_from_h2
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u8>().ok());
        let most = Self::other();
        Self(number.map_or(most, |number| number.min(most)))
    }

    const fn other() -> u8 {
        17
    }

    /// Its place in [`NAMES`].
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(self.place()).copied().unwrap_or("other")
    }

    /// What the gRPC client is told when we answer for this reason instead of a server: what the gRPC project makes of
    /// the HTTP status (502 and 503 are `UNAVAILABLE`), less its vague cases.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::ResponseTimeout => Self::DEADLINE_EXCEEDED,
            Reason::NoRoute
            | Reason::UnknownTransferCoding
            | Reason::ConnectRefused
            | Reason::UpgradeRefused => Self::UNIMPLEMENTED,
            Reason::TargetTooLong | Reason::HeadTooLarge | Reason::TooManyHeaders => Self::RESOURCE_EXHAUSTED,
            _ if reason.status().0 >= 500 => Self::UNAVAILABLE,
            _ => Self::INTERNAL,
        }
    }
}

/// The status in the fields or trailers of a response, if there is one.
#[must_use]
pub fn status(headers: &HeaderMap) -> Option<Status> {
    headers.get("grpc-status").map(|value| Status::parse(value.as_bytes()))
}

/// Says whether a message of HTTP/2 is one of gRPC.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|value| is_grpc_type(value.as_bytes()))
}

/// Says whether a request is a call of gRPC.
#[must_use]
pub fn is_call(head: &RequestHead) -> bool {
    head.fields.named("content-type").any(is_grpc_type)
}

/// `application/grpc`, also with a message format (`+proto`) or parameters; `application/grpc-web` is another protocol.
fn is_grpc_type(value: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    let begins = value.get(..TYPE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(TYPE));
    begins && matches!(value.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
}

/// What one message costs before its bytes: a flag that says whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The one message of a call that is wrapped so, uncompressed.
#[must_use]
pub fn wrap(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut wrapped = vec![0];
    wrapped.extend_from_slice(&length.to_be_bytes());
    wrapped.extend_from_slice(message);
    wrapped
}

/// The first message in what came, if it is whole and not compressed.
// fuzz: grpc_health
#[must_use]
pub fn unwrap(bytes: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else { return None };
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_type() {
        for yes in ["application/grpc", "application/grpc+proto", "Application/GRPC;charset=utf-8"] {
            assert!(is_grpc_type(yes.as_bytes()), "{yes}");
        }
        for no in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert!(!is_grpc_type(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn numbers_have_names() {
        let named = |text: &str| Status::parse(text.as_bytes()).name();
        assert_eq!(
            [named("0"), named("14"), named("16"), named("17"), named("999"), named("x"), named("")],
            ["OK", "UNAVAILABLE", "UNAUTHENTICATED", "other", "other", "other", "other"]
        );
    }

    #[test]
    fn reasons_say_whether_the_call_may_be_tried_again() {
        assert_eq!(Status::of(Reason::NoHealthyServer), Status::UNAVAILABLE);
        assert_eq!(Status::of(Reason::QueueTimeout), Status::UNAVAILABLE);
        assert_eq!(Status::of(Reason::ResponseTimeout), Status::DEADLINE_EXCEEDED);
        assert_eq!(Status::of(Reason::NoRoute), Status::UNIMPLEMENTED);
        assert_eq!(Status::of(Reason::BadFraming), Status::INTERNAL);
    }

    #[test]
    fn a_message_is_taken_out_of_what_it_was_wrapped_in() {
        let wrapped = wrap(b"abc");
        assert_eq!(wrapped, [0, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(unwrap(&wrapped), Some(&b"abc"[..]));
        assert_eq!(unwrap(&wrapped[..7]), None);
        assert_eq!(unwrap(&[1, 0, 0, 0, 0]), None, "compressed");
        assert_eq!(unwrap(&[0, 0, 0, 0, 0]), Some(&b""[..]));
    }
}
