//! The head of a message: start line and header fields, as bytes and spans.
//!
//! A head owns its bytes (its buffer is used again for the next head, so that a busy connection allocates nothing)
//! and outlives the read buffer it came from: routing, rewriting and logging all look at the same bytes that the
//! client sent. Invariant: every [`Span`] lies within the bytes of its head.

mod known;
mod lines;
mod request;
mod response;

pub use known::Known;
pub use lines::{HeadEnd, HeadScan};
pub use request::{Method, RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};

/// The versions of HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: connections close unless said otherwise, no chunked bodies, no 1xx.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// A range of bytes within a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes of this span.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Says whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Where `part`, a slice of `whole`, lies in it.
    fn locate(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len());
        Self::new(start, start + part.len())
    }

    /// A span of a head, whose length a `u32` holds ([`crate::limits::Limits::head_bytes`]).
    fn new(start: usize, end: usize) -> Self {
        let bound = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: bound(start), end: bound(end) }
    }
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name as sent.
    pub name: Span,
    /// Value without surrounding white space.
    pub value: Span,
    /// What the name means to us.
    pub known: Known,
}

/// The bytes of a head and its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    bytes: Vec<u8>,
    list: Vec<Field>,
}

impl Fields {
    /// All bytes of the head, from the start line to the empty line.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The fields in the order they were sent.
    #[must_use]
    pub fn list(&self) -> &[Field] {
        &self.list
    }

    /// The bytes of a span of this head.
    #[must_use]
    pub fn text(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// The values of all fields of this kind, in order.
    pub fn values(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.list.iter().filter(move |field| field.known == known).map(|field| self.text(field.value))
    }

    /// The values of all fields of this name, in order; case does not matter.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.list
            .iter()
            .filter(|field| self.text(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.text(field.value))
    }

    /// Takes over the bytes of a head and the fields that httparse found in it.
    fn fill(&mut self, bytes: &[u8], headers: &[httparse::Header<'_>]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.list.clear();
        self.list.extend(headers.iter().map(|header| Field {
            name: Span::locate(bytes, header.name.as_bytes()),
            value: Span::locate(bytes, header.value),
            known: Known::of(header.name.as_bytes()),
        }));
    }
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1) without surrounding white space; empty ones are left out.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Says whether the bytes are a token (RFC 9110 §5.6.2): a method, a field name, a protocol name.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
