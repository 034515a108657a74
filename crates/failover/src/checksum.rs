//! The Internet checksum (RFC 1071) and the pseudo headers that some messages add to it.

use std::net::IpAddr;

/// A running sum. Parts must have an even length, all but the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes as 16-bit words; a last odd byte is filled up with zero.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for word in bytes.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            self.0 += u64::from(u16::from_be_bytes([word[0], low]));
        }
        self
    }

    /// Adds the pseudo header of IPv4 (RFC 793 §3.1) or IPv6 (RFC 8200 §8.1).
    pub(crate) fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let mut sum = self.address(source).address(destination);
        // The length of IPv6 has 32 bits; its upper half is zero for everything that we sum.
        sum.0 += u64::from(protocol) + length as u64;
        sum
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    /// What belongs in the checksum field; 0 over a message whose field is filled in rightly.
    pub(crate) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        // 0001 + f203 + f4f5 + f6f7 = 2ddf0 → ddf2; its complement is 220d.
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), 0x220d);
    }

    #[test]
    fn an_odd_last_byte_is_filled_up() {
        assert_eq!(Sum::default().bytes(&[0x12]).finish(), !0x1200);
    }
}
