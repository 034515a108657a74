//! The client's address as a key.
//!
//! An IPv4 client counts as IPv4 also on an IPv6 socket. Of an IPv6 address only the first bits may count: one client
//! often has a whole /64 and changes its address within it (RFC 8981).

use std::net::{IpAddr, Ipv6Addr};

use xxhash_rust::xxh3::xxh3_64;

/// The bits of an IPv6 address.
pub const WHOLE_ADDRESS: u8 = 128;

/// The hash of an address, of which `ipv6_prefix` bits count if it is IPv6.
pub(super) fn hash(address: IpAddr, ipv6_prefix: u8) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => xxh3_64(&address.octets()),
        IpAddr::V6(address) => {
            let away = u32::from(WHOLE_ADDRESS.saturating_sub(ipv6_prefix));
            let kept = u128::MAX.checked_shl(away).unwrap_or(0);
            xxh3_64(&Ipv6Addr::from_bits(address.to_bits() & kept).octets())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, prefix: u8) -> u64 {
        hash(address.parse().unwrap(), prefix)
    }

    #[test]
    fn addresses_of_one_network_are_one_client_if_wanted() {
        assert_eq!(of("2001:db8:0:1::1", 64), of("2001:db8:0:1:ffff::2", 64));
        assert_ne!(of("2001:db8:0:1::1", 64), of("2001:db8:0:2::1", 64));
        assert_ne!(of("2001:db8:0:1::1", 128), of("2001:db8:0:1::2", 128));
        assert_eq!(of("2001:db8::1", 0), of("2001:db9::2", 0));
    }

    #[test]
    fn an_ipv4_client_is_the_same_on_an_ipv6_socket() {
        assert_eq!(of("192.0.2.1", 64), of("::ffff:192.0.2.1", 64));
        assert_ne!(of("192.0.2.1", 64), of("192.0.2.2", 64));
    }
}
