//! TLS: a hello that comes in pieces, or in other records, means the same.

use evenkeel_http::tls_hello::{MOST_BYTES, parse_hello};

/// The start of a connection; the first byte says how large the pieces are.
pub fn tls_hello(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let piece = usize::from(first % 64) + 1;
    let whole = parse_hello(bytes);
    let mut seen = 0;
    let mut decided = Ok(None);
    while seen < bytes.len() && decided == Ok(None) {
        seen = bytes.len().min(seen + piece);
        decided = parse_hello(&bytes[..seen]);
    }
    assert_eq!(decided, whole, "pieces change the meaning");
    let Ok(Some(hello)) = whole else { return };
    assert!(hello.server_name.is_none_or(|name| !name.is_empty() && name.len() <= 255));
    assert!(hello.protocols.iter().map(Vec::len).sum::<usize>() < MOST_BYTES);
}
