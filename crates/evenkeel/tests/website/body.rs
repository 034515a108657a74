//! Long bodies whose every part can be told from the others, sent and checked piece by piece.
//!
//! The content repeats random bytes with a period that is a prime number, so that a piece that was lost, doubled or
//! moved by any buffer's size is noticed. Nothing is kept: a body may be larger than the memory.

use std::io::{self, BufRead, BufReader, Read, Write};

/// The largest prime number below 2^20.
const PERIOD: usize = 1_048_573;
/// The longest piece sent or checked at once.
const PIECE: usize = 64 * 1024;
/// Sizes of chunks in turn: the smallest, some around powers of two, and one larger than any buffer.
const CHUNKS: [u64; 8] = [1, 15, 16, 4_095, 16_384, 65_537, 300_000, 2_000_000];

/// The content of every body.
pub(crate) struct Content {
    /// One period, and the start of the next.
    bytes: Vec<u8>,
}

impl Content {
    pub(crate) fn new() -> Self {
        // SplitMix64 from a fixed seed.
        let mut state = 7_u64;
        let mut bytes = Vec::with_capacity(PERIOD + PIECE + 8);
        while bytes.len() < PERIOD {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend((mixed ^ (mixed >> 31)).to_le_bytes());
        }
        bytes.truncate(PERIOD);
        bytes.extend_from_within(..PIECE);
        Self { bytes }
    }

    /// A piece from place `at` on, of at most `most` bytes.
    fn piece(&self, at: u64, most: u64) -> &[u8] {
        let start = usize::try_from(at % PERIOD as u64).unwrap();
        let length = usize::try_from(most.min(PIECE as u64)).unwrap();
        &self.bytes[start..start + length]
    }

    /// Writes the bytes from `at` to `end`.
    pub(crate) fn write(&self, to: &mut impl Write, mut at: u64, end: u64) -> io::Result<()> {
        while at < end {
            let count = to.write(self.piece(at, end - at))?;
            at += count as u64;
        }
        Ok(())
    }

    /// Writes a body of `length` bytes in chunks of many sizes, to its end.
    pub(crate) fn write_chunked(&self, to: &mut impl Write, length: u64) -> io::Result<()> {
        let mut at = 0;
        for size in CHUNKS.iter().cycle() {
            let size = (*size).min(length - at);
            write!(to, "{size:x}\r\n")?;
            if size == 0 {
                return to.write_all(b"\r\n");
            }
            self.write(to, at, at + size)?;
            to.write_all(b"\r\n")?;
            at += size;
        }
        Ok(())
    }

    /// Reads the bytes from `at` to `end` and compares them.
    pub(crate) fn check(&self, from: &mut impl Read, mut at: u64, end: u64) -> io::Result<()> {
        let mut buffer = [0; PIECE];
        while at < end {
            let most = self.piece(at, end - at).len();
            let count = from.read(&mut buffer[..most])?;
            if count == 0 {
                return Err(io::Error::other(format!("the body ended at {at}, not at {end}")));
            }
            if buffer[..count] != self.piece(at, end - at)[..count] {
                return Err(io::Error::other(format!(
                    "the body differs between {at} and {}",
                    at + count as u64
                )));
            }
            at += count as u64;
        }
        Ok(())
    }

    /// Reads a chunked body to its end, compares it, and says how long it was.
    pub(crate) fn check_chunked(&self, from: &mut impl BufRead) -> io::Result<u64> {
        let mut at = 0;
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            self.check(from, at, at + size)?;
            at += size;
            let mut end = [0; 2];
            from.read_exact(&mut end)?;
            if &end != b"\r\n" {
                return Err(io::Error::other(format!("a chunk ends with {end:?}")));
            }
            if size == 0 {
                return Ok(at);
            }
        }
    }
}

/// Reads a head to its empty line.
pub(crate) fn read_head(from: &mut BufReader<impl Read>) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Err(io::Error::other(format!("the connection ended within a head: {head:?}")));
        }
    }
    Ok(head)
}

#[test]
fn a_piece_that_is_lost_doubled_or_changed_is_noticed() {
    let content = Content::new();
    let mut body = Vec::new();
    content.write(&mut body, 0, 3_000_000).unwrap();
    content.check(&mut body.as_slice(), 0, 3_000_000).unwrap();
    for broken in [
        [&body[..100_000], &body[100_001..]].concat(),
        [&body[..65_536], &body[..65_536], &body[65_536..2_934_464]].concat(),
        [&body[..2_999_999], &[!body[2_999_999]][..]].concat(),
    ] {
        content.check(&mut broken.as_slice(), 0, 3_000_000).unwrap_err();
    }
    let mut chunked = Vec::new();
    content.write_chunked(&mut chunked, 3_000_000).unwrap();
    assert_eq!(content.check_chunked(&mut chunked.as_slice()).unwrap(), 3_000_000);
}
