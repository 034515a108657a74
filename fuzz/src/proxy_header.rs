//! The PROXY protocol.

use evenkeel_http::proxy_header::{MOST_BYTES, parse};

/// A header is found once it is whole, however much follows; before that more is wanted.
pub fn proxy_header(data: &[u8]) {
    let whole = parse(data);
    if let Ok(Some(header)) = whole {
        assert!(header.length <= data.len() && header.length <= MOST_BYTES);
        assert_eq!(parse(&data[..header.length]), whole);
        for length in 0..header.length {
            assert_eq!(parse(&data[..length]), Ok(None));
        }
    }
    if whole == Ok(None) {
        assert!(data.len() < MOST_BYTES);
    }
}
