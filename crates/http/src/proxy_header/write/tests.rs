use super::super::{Header, parse};
use super::*;

fn pair(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((source.parse().unwrap(), destination.parse().unwrap()))
}

fn v1_of(whom: For) -> Vec<u8> {
    let mut out = Vec::new();
    v1(whom, &mut out);
    out
}

fn v2_of(whom: For, extensions: Extensions<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    v2(whom, extensions, &mut out);
    out.split_off(6)
}

#[test]
fn what_is_written_reads_as_the_same() {
    let everything = Extensions {
        protocol: Some(b"http/1.1"),
        authority: Some(b"www.example.com"),
        tls: Some(Tls { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", certificate: true }),
        checksum: true,
    };
    for addresses in
        [pair("192.0.2.7:56324", "198.51.100.1:443"), pair("[2001:db8::7]:1", "[2001:db8::1]:65535"), None]
    {
        let whom = For::Client(addresses);
        for bytes in [v1_of(whom), v2_of(whom, Extensions::default()), v2_of(whom, everything)] {
            let header = Header { length: bytes.len(), addresses };
            assert_eq!(parse(&bytes), Ok(Some(header)), "{bytes:02x?}");
        }
    }
    for whom in [For::Ourselves, For::Client(pair("192.0.2.7:1", "[2001:db8::1]:1"))] {
        for bytes in [v1_of(whom), v2_of(whom, everything)] {
            assert_eq!(parse(&bytes), Ok(Some(Header { length: bytes.len(), addresses: None })));
        }
    }
}

#[test]
fn version_1_is_a_line() {
    let told = v1_of(For::Client(pair("192.0.2.7:56324", "198.51.100.1:443")));
    assert_eq!(told, b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
    assert_eq!(v1_of(For::Ourselves), b"PROXY UNKNOWN\r\n");
}

#[test]
fn version_2_is_as_worked_out_by_hand() {
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    expected.extend([0x21, 0x11, 0, 12 + 3 + 2 + 3 + 1 + 3 + 5 + 3 + 7 + 3 + 1]);
    expected.extend([192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb]);
    expected.extend([0x01, 0, 2, b'h', b'2']);
    expected.extend([0x02, 0, 1, b'a']);
    expected.extend([0x20, 0, 5 + 3 + 7 + 3 + 1, 0x01, 0, 0, 0, 1]);
    expected.extend([0x21, 0, 7]);
    expected.extend(b"TLSv1.3");
    expected.extend([0x23, 0, 1, b'C']);
    let tls = Tls { version: "TLSv1.3", cipher: "C", certificate: false };
    let extensions =
        Extensions { protocol: Some(b"h2"), authority: Some(b"a"), tls: Some(tls), checksum: false };
    let whom = For::Client(pair("192.0.2.7:56324", "198.51.100.1:443"));
    assert_eq!(v2_of(whom, extensions), expected);
    // For ourselves nothing is told, and what is too long is not.
    let ours = v2_of(For::Ourselves, extensions);
    assert_eq!(ours[12..], [0x20, 0, 0, 0]);
    let long = [b'a'; 256];
    let long = Extensions { authority: Some(&long), ..Extensions::default() };
    assert_eq!(v2_of(whom, long).len(), 28);
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let checked = Extensions { checksum: true, ..Extensions::default() };
    let mut bytes = v2_of(For::Client(pair("192.0.2.7:1", "192.0.2.1:2")), checked);
    assert!(parse(&bytes).is_ok());
    bytes[16] ^= 1;
    assert!(parse(&bytes).is_err());
}
