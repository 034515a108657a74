//! Response heads (RFC 9112 §4): what the server says, and where the body ends.

use std::mem::MaybeUninit;

use super::{Fields, HeadEnd, HeadScan, Known, Method, Span, Version, elements};
use crate::answer::Reason;
use crate::body::Framing;
use crate::limits::{Limits, MOST_HEADERS};

/// The head of a response, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Bytes and fields.
    pub fields: Fields,
    /// Status code, 100 to 999.
    pub status: u16,
    /// The version the server speaks.
    pub version: Version,
    /// Where the body ends, given the method that was asked.
    pub framing: Framing,
    /// Whether the server lets the connection stay open (RFC 9112 §9.3).
    pub persistent: bool,
    reason_phrase: Span,
}

impl ResponseHead {
    /// The reason phrase as sent; often empty.
    #[must_use]
    pub fn reason_phrase(&self) -> &[u8] {
        self.fields.text(self.reason_phrase)
    }

    /// A response that only announces the real one (RFC 9110 §15.2). 101 is none: it is final.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Looks for a whole response head at the front of `buffer` and puts its meaning into `head`; `method` is what was
/// asked. See [`super::parse_request`] for `scan` and the return value.
///
/// # Errors
/// [`Reason::BadResponse`], whatever is wrong: the client cannot help it.
// fuzz: response_head
pub fn parse_response(
    buffer: &[u8],
    scan: &mut HeadScan,
    limits: &Limits,
    method: Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, Reason> {
    let limit = limits.head_bytes as usize;
    match scan.advance(buffer).map_err(|_| Reason::BadResponse)? {
        // Empty lines may come before a request, never before a response.
        _ if scan.skipped() > 0 => Err(Reason::BadResponse),
        HeadEnd::Complete { end, .. } if end <= limit => {
            understand(&buffer[..end], limits, method, head).ok_or(Reason::BadResponse)?;
            Ok(Some(end))
        }
        HeadEnd::Incomplete if buffer.len() < limit => Ok(None),
        HeadEnd::Incomplete | HeadEnd::Complete { .. } => Err(Reason::BadResponse),
    }
}

fn understand(bytes: &[u8], limits: &Limits, method: Method, head: &mut ResponseHead) -> Option<()> {
    let mut table = [const { MaybeUninit::uninit() }; MOST_HEADERS as usize];
    let table = &mut table[..usize::from(limits.headers.min(MOST_HEADERS))];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, bytes, table).ok()?;
    if status.is_partial() {
        return None;
    }
    head.status = parsed.code.filter(|code| (100..=999).contains(code))?;
    head.version = if parsed.version? == 0 { Version::Http10 } else { Version::Http11 };
    head.reason_phrase = Span::locate(bytes, parsed.reason.unwrap_or_default().as_bytes());
    head.fields.fill(bytes, parsed.headers);
    understand_fields(head, method)
}

fn understand_fields(head: &mut ResponseHead, method: Method) -> Option<()> {
    let (mut length, mut coding) = (None, None);
    let (mut close, mut keep_alive) = (false, false);
    for field in &head.fields.list {
        let value = head.fields.text(field.value);
        match field.known {
            Known::ContentLength if length.is_some() => return None,
            Known::ContentLength => length = Some(crate::body::parse_length(value)?),
            Known::TransferEncoding if coding.is_some() => return None,
            Known::TransferEncoding => coding = Some(value),
            Known::Connection => {
                for option in elements(value) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
    }
    head.framing = match (coding, length) {
        (Some(_), Some(_)) => return None,
        // A server that frames where no body may be is not to be believed about where its next response begins.
        (Some(_), None) if head.version == Version::Http10 || !(200..=999).contains(&head.status) => {
            return None;
        }
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        (Some(_), None) => return None,
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::UntilClose,
    };
    let bodiless = method == Method::Head || head.status < 200 || matches!(head.status, 204 | 304);
    if bodiless || head.framing == Framing::Length(0) {
        head.framing = Framing::None;
    }
    head.persistent = head.framing != Framing::UntilClose
        && match head.version {
            Version::Http10 => keep_alive && !close,
            Version::Http11 => !close,
        };
    Some(())
}
