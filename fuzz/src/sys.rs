//! What the kernel says.

use evenkeel_sys::netlink::notices;

/// The smallest message has a header of 16 bytes.
const SMALLEST_MESSAGE: usize = 16;

/// A datagram of the kernel: no panic, no more news than messages fit, and bytes behind the last whole message change
/// nothing about those before.
pub fn netlink(data: &[u8]) {
    let all = notices(data);
    assert!(all.len() <= data.len() / SMALLEST_MESSAGE);
    if let Some((_, shorter)) = data.split_last() {
        let fewer = notices(&data[..shorter.len()]);
        assert!(all.starts_with(&fewer), "{fewer:?} is no beginning of {all:?}");
    }
}
