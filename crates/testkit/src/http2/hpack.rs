//! HPACK (RFC 7541), as far as tests need it: writes literals without indexing, reads anything but the dynamic table,
//! which a client that says `SETTINGS_HEADER_TABLE_SIZE = 0` does without.

use std::io;

/// The names of the static table (Appendix A) by index, and its values where there are any.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The lengths of the Huffman codes (Appendix B) in bits; the code is canonical, so that they say all of it. The last is
/// that of the end of a string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19,
    22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
    27, 27, 27, 26, 30,
];

/// Fields as a header block: literals that nobody indexes, without Huffman code.
pub fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            integer(text.len(), 7, &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// Appends an integer in the lower `bits` of a byte and what follows (§5.1).
fn integer(value: usize, bits: u8, block: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if value < most {
        block.push(value.to_le_bytes()[0]);
        return;
    }
    block.push(most.to_le_bytes()[0]);
    let mut rest = value - most;
    while rest >= 128 {
        block.push(rest.to_le_bytes()[0] | 128);
        rest >>= 7;
    }
    block.push(rest.to_le_bytes()[0]);
}

/// The fields of a header block of a peer that was told to have no dynamic table.
pub fn read(mut block: &[u8]) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    while let Some(&first) = block.first() {
        if first & 0x80 != 0 {
            let (name, value) = indexed(take_integer(&mut block, 7)?)?;
            fields.push((name.to_owned(), value.to_owned()));
        } else if first & 0xe0 == 0x20 {
            // The table is to have no room (§6.3).
            if take_integer(&mut block, 5)? != 0 {
                return Err(invalid("a dynamic table that nobody wanted"));
            }
        } else {
            let index = take_integer(&mut block, if first & 0x40 != 0 { 6 } else { 4 })?;
            let name = if index == 0 { take_text(&mut block)? } else { indexed(index)?.0.to_owned() };
            fields.push((name, take_text(&mut block)?));
        }
    }
    Ok(fields)
}

fn indexed(index: usize) -> io::Result<(&'static str, &'static str)> {
    let place = index.checked_sub(1).ok_or_else(|| invalid("index 0"))?;
    STATIC.get(place).copied().ok_or_else(|| invalid("an index into the dynamic table"))
}

fn take_integer(block: &mut &[u8], bits: u8) -> io::Result<usize> {
    let most = (1 << bits) - 1;
    let mut value = usize::from(take_byte(block)?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = take_byte(block)?;
        value += usize::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
    Err(invalid("a length that is too long"))
}

fn take_byte(block: &mut &[u8]) -> io::Result<u8> {
    let (first, rest) = block.split_first().ok_or_else(|| invalid("a block that ends too early"))?;
    *block = rest;
    Ok(*first)
}

fn take_text(block: &mut &[u8]) -> io::Result<String> {
    let coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = take_integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or_else(|| invalid("a text that ends too early"))?;
    *block = rest;
    let text = if coded { decode(text)? } else { text.to_vec() };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Undoes the Huffman code (§5.2).
fn decode(coded: &[u8]) -> io::Result<Vec<u8>> {
    let codes = codes();
    let (mut text, mut code, mut length) = (Vec::new(), 0u32, 0u8);
    for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |place| u32::from(byte >> place & 1))) {
        (code, length) = (code << 1 | bit, length + 1);
        if let Ok(place) = codes.binary_search_by_key(&(length, code), |&(length, code, _)| (length, code)) {
            text.push(u8::try_from(codes[place].2).map_err(|_| invalid("the end within a string"))?);
            (code, length) = (0, 0);
        } else if length > 30 {
            return Err(invalid("no Huffman code"));
        }
    }
    // What fills the last byte is the beginning of the end of a string: ones, fewer than eight.
    if length > 7 || code != (1 << length) - 1 {
        return Err(invalid("a Huffman string that is not filled with ones"));
    }
    Ok(text)
}

/// Length, code and symbol of each, in this order.
fn codes() -> Vec<(u8, u32, usize)> {
    let mut codes: Vec<_> = LENGTHS.iter().enumerate().map(|(symbol, &length)| (length, 0, symbol)).collect();
    codes.sort_unstable();
    let (mut next, mut before) = (0u32, 0);
    for (length, code, _) in &mut codes {
        next <<= *length - before;
        (*code, before) = (next, *length);
        next += 1;
    }
    codes
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc_are_read() {
        // RFC 7541 §C.6.1, without the indexing: status 302, cache-control private.
        let block = b"\x08\x82\x64\x02\x0f\x09\x85\xae\xc3\x77\x1a\x4b";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(block).unwrap(), [pair(":status", "302"), pair("cache-control", "private")]);
        // §C.4.1.
        assert_eq!(decode(b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff").unwrap(), b"www.example.com");
        assert_eq!(read(b"\x20\x88").unwrap(), [pair(":status", "200")]);
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(5000);
        let block = fields([("a", "b"), ("name", long.as_str())]);
        assert_eq!(read(&block).unwrap(), [("a".into(), "b".into()), ("name".into(), long)]);
        assert!(read(&block[..block.len() - 1]).is_err());
        assert!(read(b"\xbe").is_err());
    }
}
