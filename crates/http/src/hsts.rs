//! `Strict-Transport-Security` (RFC 6797).

use std::io::Write as _;

use serde::{Deserialize, Serialize};

/// What a browser is told: to come over TLS only, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hsts {
    /// For how many seconds; 0 lets it forget (RFC 6797 §6.1.1).
    pub max_age: u64,
    /// For every name below this one as well (RFC 6797 §6.1.2).
    pub include_subdomains: bool,
    /// The name may go into the lists that browsers bring along.
    pub preload: bool,
}

impl Hsts {
    /// Appends the header field with its line end.
    pub fn write(self, out: &mut Vec<u8>) {
        let _infallible = write!(out, "Strict-Transport-Security: max-age={}", self.max_age);
        if self.include_subdomains {
            out.extend_from_slice(b"; includeSubDomains");
        }
        if self.preload {
            out.extend_from_slice(b"; preload");
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_as_the_rfc_writes_it() {
        let mut out = Vec::new();
        let hsts = Hsts { max_age: 31_536_000, include_subdomains: true, preload: false };
        hsts.write(&mut out);
        assert_eq!(out, b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");
    }
}
