//! The two messages of `grpc.health.v1.Health/Check`.
//!
//! They have one field each, so they are written and read by hand: a library for Protocol Buffers, with its generator of code,
//! would be larger than all that speaks HTTP/2 here. Source: the encoding guide of Protocol Buffers, and `health.proto` of
//! the gRPC project.

/// What is called.
pub const PATH: &str = "/grpc.health.v1.Health/Check";

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// It does not know.
    Unknown,
    /// All is well.
    Serving,
    /// It does not want traffic.
    NotServing,
    /// It has no such service.
    ServiceUnknown,
    /// A number that nobody knows.
    Other(u64),
}

impl Serving {
    /// As the protocol names it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Unknown => "UNKNOWN".into(),
            Self::Serving => "SERVING".into(),
            Self::NotServing => "NOT_SERVING".into(),
            Self::ServiceUnknown => "SERVICE_UNKNOWN".into(),
            Self::Other(number) => number.to_string(),
        }
    }
}

/// `HealthCheckRequest { string service = 1; }`; an empty text is left out.
#[must_use]
pub fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | LENGTH);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(low(length) | 0x80);
            length >>= 7;
        }
        message.push(low(length));
        message.extend_from_slice(service.as_bytes());
    }
    message
}

fn low(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}

/// The kinds of fields, in the low three bits of their tags.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

/// `HealthCheckResponse { ServingStatus status = 1; }`; a status that is left out is `UNKNOWN`. `None` when it is no message.
// fuzz: grpc_health
#[must_use]
pub fn response(mut message: &[u8]) -> Option<Serving> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, u8::try_from(tag & 7).ok()?) {
            (0, _) => return None,
            (1, VARINT) => status = varint(&mut message)?,
            (_, VARINT) => drop(varint(&mut message)?),
            (_, FIXED64) => message = message.get(8..)?,
            (_, FIXED32) => message = message.get(4..)?,
            (_, LENGTH) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            _ => return None,
        }
    }
    Some(match status {
        0 => Serving::Unknown,
        1 => Serving::Serving,
        2 => Serving::NotServing,
        3 => Serving::ServiceUnknown,
        number => Serving::Other(number),
    })
}

/// Takes a number off the front: seven bits a byte, the least first, at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_service() {
        assert_eq!(request(""), b"");
        assert_eq!(request("shop.Cart"), b"\x0a\x09shop.Cart");
        let long = request(&"x".repeat(200));
        assert_eq!(long[..3], [0x0a, 0xc8, 0x01]);
        assert_eq!(long.len(), 203);
    }

    #[test]
    fn a_response_says_whether_it_serves() {
        assert_eq!(response(b""), Some(Serving::Unknown));
        assert_eq!(response(b"\x08\x01"), Some(Serving::Serving));
        assert_eq!(response(b"\x08\x02"), Some(Serving::NotServing));
        assert_eq!(response(b"\x08\x03"), Some(Serving::ServiceUnknown));
        assert_eq!(response(b"\x08\xac\x02"), Some(Serving::Other(300)));
    }

    #[test]
    fn fields_that_nobody_knows_are_passed_over() {
        assert_eq!(response(b"\x12\x02ab\x08\x01\x18\x07\x25abcd"), Some(Serving::Serving));
    }

    #[test]
    fn what_is_no_message_says_nothing() {
        for broken in [
            &b"\x08"[..],
            b"\x00\x01",
            b"\x12\x05ab",
            b"\x0b",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(response(broken), None, "{broken:?}");
        }
    }
}
