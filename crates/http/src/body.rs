//! Where a body ends (RFC 9112 §6 and §7), found in bytes that arrive piece by piece.
//!
//! Says of each run of bytes what it is and never changes one: a chunked body goes on as the bytes it came in, once
//! they are known to be beyond doubt. Strict where parsers have differed: chunk sizes are hexadecimal digits only,
//! every line ends with CR LF, extensions are printable and bounded, trailers may not name a field that frames or
//! routes a message.

use crate::answer::Reason;
use crate::head::{Known, is_token};

/// Bytes of one chunk-size line; longer ones are refused.
pub const LONGEST_LINE: usize = 4096;
/// Bytes of one trailer line; longer ones are refused. What a gRPC call says of its failure is one line, and may have
/// all of the 8 KiB that gRPC allows its metadata.
pub const LONGEST_TRAILER: usize = 8192;
/// Bytes that all chunk extensions of a body may have together. Nobody uses them, except to smuggle or to burn time.
pub const MOST_EXTENSION_BYTES: usize = 4096;
/// Bytes that all trailers of a body may have together.
pub const MOST_TRAILER_BYTES: usize = 16 * 1024;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// `Content-Length`; never 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The body ends with the connection (responses only).
    UntilClose,
}

/// Reads `Content-Length` (RFC 9110 §8.6): digits only, no sign, no list, below 2^63.
// fuzz: request_head, response_head
#[must_use]
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().filter(|&length| length <= i64::MAX as u64)
}

/// What the next bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// So many bytes (at least one) of content.
    Payload(usize),
    /// So many bytes (at least one) that only frame the content: chunk sizes, line ends, trailers.
    Framing(usize),
    /// More bytes are needed before anything can be said.
    NeedMore,
    /// The body has ended; the next byte belongs to the next message.
    End,
}

/// A body that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    /// Bytes left.
    Length(u64),
    UntilClose,
    ChunkSize,
    /// Bytes left of this chunk's content.
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

impl Body {
    /// A body of which nothing was read yet.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Says whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Says whether the end of the connection is the proper end of this body.
    #[must_use]
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// Says whether the next line is a trailer, or the empty line that ends them.
    #[must_use]
    pub fn is_in_trailers(&self) -> bool {
        self.state == State::Trailers
    }

    /// How many bytes of content follow for certain, whatever they are: they need not be looked at. `None` for a
    /// body that ends with its connection: all of them.
    #[must_use]
    pub fn certain_bytes(&self) -> Option<u64> {
        match self.state {
            State::Length(left) | State::ChunkData(left) => Some(left),
            State::UntilClose => None,
            _ => Some(0),
        }
    }

    /// Counts `count` bytes of content that went past without being looked at (spliced); at most
    /// [`Body::certain_bytes`].
    pub fn skip(&mut self, count: u64) {
        self.state = match self.state {
            State::Length(left) if left <= count => State::Done,
            State::Length(left) => State::Length(left - count),
            State::ChunkData(left) if left <= count => State::ChunkEnd,
            State::ChunkData(left) => State::ChunkData(left - count),
            other => other,
        };
    }

    /// Says what the first bytes of `input` are and steps over them. Lines are looked at as a whole, so the caller
    /// must be able to hold [`LONGEST_TRAILER`] bytes.
    ///
    /// # Errors
    /// [`Reason::BadChunk`] when the bytes break the grammar or a bound.
    // fuzz: body
    pub fn read(&mut self, input: &[u8]) -> Result<Run, Reason> {
        if self.state == State::Done {
            return Ok(Run::End);
        }
        if input.is_empty() {
            return Ok(Run::NeedMore);
        }
        match self.state {
            State::Done => Ok(Run::End),
            State::UntilClose => Ok(Run::Payload(input.len())),
            State::Length(left) | State::ChunkData(left) => {
                let run = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                self.skip(run as u64);
                Ok(Run::Payload(run))
            }
            State::ChunkSize => self.chunk_size(input),
            State::ChunkEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(Run::Framing(2))
                }
                [b'\r'] => Ok(Run::NeedMore),
                _ => Err(Reason::BadChunk),
            },
            State::Trailers => self.trailer(input),
        }
    }

    fn chunk_size(&mut self, input: &[u8]) -> Result<Run, Reason> {
        let Some(line) = whole_line(input, LONGEST_LINE)? else { return Ok(Run::NeedMore) };
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        // Fifteen digits keep far away from overflow, here and in other parsers.
        if digits == 0 || digits > 15 {
            return Err(Reason::BadChunk);
        }
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        let size = size.ok_or(Reason::BadChunk)?;
        let printable = |&b: &u8| b == b'\t' || (b' '..=b'~').contains(&b);
        if !extension.is_empty() && (extension[0] != b';' || !extension.iter().all(printable)) {
            return Err(Reason::BadChunk);
        }
        self.extension_bytes += extension.len();
        if self.extension_bytes > MOST_EXTENSION_BYTES {
            return Err(Reason::BadChunk);
        }
        self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
        Ok(Run::Framing(line.len() + 2))
    }

    fn trailer(&mut self, input: &[u8]) -> Result<Run, Reason> {
        let Some(line) = whole_line(input, LONGEST_TRAILER)? else { return Ok(Run::NeedMore) };
        if line.is_empty() {
            self.state = State::Done;
            return Ok(Run::Framing(2));
        }
        self.trailer_bytes += line.len() + 2;
        let colon = memchr::memchr(b':', line).ok_or(Reason::BadChunk)?;
        let (name, value) = line.split_at(colon);
        // RFC 9110 §6.5.1: a trailer must not frame, route or authenticate; a server that merges trailers into its
        // headers would believe it.
        let harmless = is_token(name) && matches!(Known::of(name), Known::Other);
        let clean = value.iter().all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f));
        if self.trailer_bytes > MOST_TRAILER_BYTES || !harmless || !clean {
            return Err(Reason::BadChunk);
        }
        Ok(Run::Framing(line.len() + 2))
    }
}

/// The first line of `input` without its CR LF; `None` while it is incomplete.
fn whole_line(input: &[u8], longest: usize) -> Result<Option<&[u8]>, Reason> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        // One more for the CR.
        return if input.len() > longest + 1 { Err(Reason::BadChunk) } else { Ok(None) };
    };
    match input[..end].split_last() {
        Some((b'\r', line)) if line.len() <= longest => Ok(Some(line)),
        _ => Err(Reason::BadChunk),
    }
}

#[cfg(test)]
mod tests;
