//! The first message of a TLS client, read without a key: which server it asks for, and what it speaks.
//!
//! RFC 8446 §4.1.2 (the message), §5.1 (the records that carry it), RFC 6066 §3 (the name), RFC 7301 §3.1 (protocols).
//! Nothing is decrypted, nothing is answered and nothing is used up: the caller keeps the bytes and passes them on.
//! Invariants: the same bytes give the same answer however they are cut into records or pieces; at most
//! [`MOST_BYTES`] are looked at; every length is checked against what holds it, and nothing may follow where the
//! message has ended.

/// The most bytes of records that are looked at; a hello with the largest keys in use has some two thousand.
pub const MOST_BYTES: usize = 16 * 1024;
/// The longest name of a server (RFC 1035 §2.3.4, as text).
const LONGEST_NAME: usize = 255;
/// The most payload of a record that is not encrypted (RFC 8446 §5.1).
const LARGEST_RECORD: usize = 1 << 14;
/// Record and message types (RFC 8446 §5.1, §4).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Cipher suites with AES-GCM and with ChaCha20-Poly1305 (RFC 8446 §B.4, RFC 5289, RFC 7905).
const AES_SUITES: [u16; 6] = [0x1301, 0x1302, 0xc02b, 0xc02c, 0xc02f, 0xc030];
const CHACHA_SUITES: [u16; 3] = [0x1303, 0xcca8, 0xcca9];
/// Types of extensions (RFC 8446 §4.2).
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// The only type of name there is (RFC 6066 §3).
const HOST_NAME: u8 = 0;

/// What a client says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name of the server it wants, as sent; `None` when it names none.
    pub server_name: Option<String>,
    /// What it would speak inside (ALPN), most wanted first.
    pub protocols: Vec<Vec<u8>>,
    /// Versions of TLS, most wanted first: `supported_versions`, or without it the one in the message.
    pub versions: Vec<u16>,
    /// It names ChaCha20-Poly1305 before AES-GCM, as those do whose processors have no instructions for AES.
    pub prefers_chacha: bool,
}

/// Why there is no hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHello {
    /// The client speaks something else.
    NotTls,
    /// It speaks TLS, but its message is against the rules.
    Malformed,
    /// The message is longer than [`MOST_BYTES`].
    TooLong,
}

/// Reads the hello at the start of `bytes`. `None` wants more of them: call again with all there are by then.
///
/// # Errors
/// See [`NoHello`]; more bytes would not change it.
// fuzz: tls_hello
pub fn parse_hello(bytes: &[u8]) -> Result<Option<Hello>, NoHello> {
    let mut message = Vec::new();
    let mut records = Reader(bytes.get(..MOST_BYTES).unwrap_or(bytes));
    let missing = |message: &[u8]| match message_length(message)? {
        Some(length) if length > MOST_BYTES => Err(NoHello::TooLong),
        Some(length) if message.len() > length => Err(NoHello::Malformed),
        Some(length) => Ok(message.len() < length),
        None => Ok(true),
    };
    while missing(&message)? {
        let Some(fragment) = record(&mut records)? else {
            return if bytes.len() >= MOST_BYTES { Err(NoHello::TooLong) } else { Ok(None) };
        };
        message.extend_from_slice(fragment);
    }
    let body = message.get(4..).unwrap_or_default();
    hello(Reader(body)).map(Some).ok_or(NoHello::Malformed)
}

/// The payload of the next record, as soon as all of it is there.
fn record<'a>(bytes: &mut Reader<'a>) -> Result<Option<&'a [u8]>, NoHello> {
    // What is wrong with the part of the header that is there is said at once.
    let header = bytes.0;
    if header.first().is_some_and(|&kind| kind != HANDSHAKE) || header.get(1).is_some_and(|&major| major != 3)
    {
        return Err(NoHello::NotTls);
    }
    let Some(&[high, low]) = header.get(3..5) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // Records of the handshake are never empty.
    if length == 0 || length > LARGEST_RECORD {
        return Err(NoHello::Malformed);
    }
    let Some(fragment) = header.get(5..5 + length) else { return Ok(None) };
    bytes.take(5 + length);
    Ok(Some(fragment))
}

/// The length of the message with its header; `None` while the header is not whole.
fn message_length(message: &[u8]) -> Result<Option<usize>, NoHello> {
    if message.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
        return Err(NoHello::NotTls);
    }
    let Some(&[_, high, middle, low]) = message.get(..4) else { return Ok(None) };
    let length = u32::from_be_bytes([0, high, middle, low]);
    Ok(Some(usize::try_from(length).map_err(|_| NoHello::TooLong)?.saturating_add(4)))
}

fn hello(mut body: Reader<'_>) -> Option<Hello> {
    let version = body.u16()?;
    body.take(32)?;
    body.vector8(0..=32)?;
    let suites = body.vector16(2..=usize::from(u16::MAX) - 1)?;
    if !suites.0.len().is_multiple_of(2) {
        return None;
    }
    body.vector8(1..=255)?;
    let mut hello =
        Hello { versions: vec![version], prefers_chacha: prefers_chacha(suites), ..Hello::default() };
    if body.is_empty() {
        // Before extensions there were none.
        return Some(hello);
    }
    let mut extensions = body.vector16(0..=usize::from(u16::MAX))?;
    let mut seen = [false; 3];
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let mut data = extensions.vector16(0..=usize::from(u16::MAX))?;
        let place = match kind {
            SERVER_NAME => 0,
            PROTOCOLS => 1,
            SUPPORTED_VERSIONS => 2,
            _ => continue,
        };
        // No extension may come twice.
        if std::mem::replace(&mut seen[place], true) {
            return None;
        }
        match kind {
            SERVER_NAME => hello.server_name = server_name(data.vector16(1..=usize::from(u16::MAX))?)?,
            PROTOCOLS => hello.protocols = protocols(data.vector16(2..=usize::from(u16::MAX))?)?,
            _ => hello.versions = versions(data.vector8(2..=254)?)?,
        }
        data.end()?;
    }
    body.end()?;
    Some(hello)
}

/// What the first suite of those that are known is with.
fn prefers_chacha(mut suites: Reader<'_>) -> bool {
    while let Some(suite) = suites.u16() {
        if AES_SUITES.contains(&suite) {
            return false;
        }
        if CHACHA_SUITES.contains(&suite) {
            return true;
        }
    }
    false
}

/// At most one name of a host. A name of another kind has a form that nobody has defined: what follows it is unread.
fn server_name(mut list: Reader<'_>) -> Option<Option<String>> {
    let mut found = None;
    while !list.is_empty() {
        if list.u8()? != HOST_NAME {
            return Some(found);
        }
        let name = list.vector16(1..=LONGEST_NAME)?.0;
        let plain = name.iter().all(u8::is_ascii_graphic);
        if found.is_some() || !plain {
            return None;
        }
        found = Some(std::str::from_utf8(name).ok()?.to_owned());
    }
    Some(found)
}

fn protocols(mut list: Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.vector8(1..=255)?.0.to_owned());
    }
    Some(found)
}

fn versions(mut list: Reader<'_>) -> Option<Vec<u16>> {
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.u16()?);
    }
    Some(found)
}

/// Bytes that were not read yet; everything is `None` where there are too few.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A vector whose length stands before it in one byte.
    fn vector8(&mut self, lengths: std::ops::RangeInclusive<usize>) -> Option<Self> {
        let length = usize::from(self.u8()?);
        if lengths.contains(&length) { self.take(length).map(Reader) } else { None }
    }

    /// The same in two bytes.
    fn vector16(&mut self, lengths: std::ops::RangeInclusive<usize>) -> Option<Self> {
        let length = usize::from(self.u16()?);
        if lengths.contains(&length) { self.take(length).map(Reader) } else { None }
    }
}

#[cfg(test)]
mod tests;
