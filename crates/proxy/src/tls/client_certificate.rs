//! What a client's certificate says, as header lines for servers.
//!
//! Invariant: whatever a certificate holds, a line is visible ASCII of bounded length; other bytes are percent-encoded.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The longest value, in bytes; what is longer is cut.
const LONGEST_VALUE: usize = 1024;

/// `Client-Cert-Subject`, `Client-Cert-San` and `Client-Cert-Fingerprint`, each with its line end.
pub(crate) fn headers(certificate: &CertificateDer<'_>) -> Box<[u8]> {
    let mut lines = String::new();
    if let Ok((_, parsed)) = X509Certificate::from_der(certificate) {
        write(&mut lines, "Client-Cert-Subject", &parsed.subject().to_string());
        let names: Vec<String> = match parsed.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(named).collect(),
            _ => Vec::new(),
        };
        if !names.is_empty() {
            write(&mut lines, "Client-Cert-San", &names.join(", "));
        }
    }
    let mut fingerprint = String::new();
    for byte in digest(&SHA256, certificate).as_ref() {
        let _infallible = write!(fingerprint, "{byte:02x}");
    }
    write(&mut lines, "Client-Cert-Fingerprint", &fingerprint);
    lines.into_bytes().into()
}

fn named(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        GeneralName::URI(name) => Some(format!("URI:{name}")),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            Some(format!("IP:{}", address.ok()?))
        }
        _ => None,
    }
}

fn write(lines: &mut String, name: &str, value: &str) {
    lines.push_str(name);
    lines.push_str(": ");
    let longest = lines.len() + LONGEST_VALUE;
    for byte in value.bytes() {
        if lines.len() + 3 > longest {
            break;
        }
        match byte {
            b'%' => lines.push_str("%25"),
            b' '..=b'~' => lines.push(byte.into()),
            other => {
                let _infallible = write!(lines, "%{other:02X}");
            }
        }
    }
    lines.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_line() {
        let mut lines = String::new();
        write(&mut lines, "A", "x\r\nHost: b\0\u{e9} 100%");
        assert_eq!(lines, "A: x%0D%0AHost: b%00%C3%A9 100%25\r\n");
        lines.clear();
        write(&mut lines, "A", &"\n".repeat(10_000));
        assert!(lines.len() <= LONGEST_VALUE + 5, "{}", lines.len());
    }

    #[test]
    fn what_is_no_certificate_still_has_a_fingerprint() {
        let lines = headers(&CertificateDer::from(b"abc".as_slice()));
        assert_eq!(
            lines.as_ref(),
            b"Client-Cert-Fingerprint: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n"
        );
    }
}
