use super::*;

fn v2_header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = V2.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

/// The same in pieces: more is wanted until the header is whole, and what follows it changes nothing.
fn whole(bytes: &[u8]) -> Header {
    let header = parse(bytes).unwrap().unwrap();
    assert_eq!(header.length, bytes.len());
    for length in 1..bytes.len() {
        assert_eq!(parse(&bytes[..length]), Ok(None), "{length} bytes");
    }
    let longer = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(parse(&longer), Ok(Some(header)));
    header
}

fn pair(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((source.parse().unwrap(), destination.parse().unwrap()))
}

#[test]
fn version_1_names_client_and_destination() {
    let header = whole(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
    assert_eq!(header.addresses, pair("192.0.2.7:56324", "198.51.100.1:443"));
    let header = whole(b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n");
    assert_eq!(header.addresses, pair("[2001:db8::7]:1", "[2001:db8::1]:65535"));
    assert_eq!(whole(b"PROXY UNKNOWN\r\n").addresses, None);
    assert_eq!(whole(b"PROXY UNKNOWN ffff:f 1 2 3 anything\r\n").addresses, None);
}

#[test]
fn version_1_is_read_strictly() {
    for wrong in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse(wrong.as_bytes()), Err(NoHeader::Malformed), "{wrong:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat();
    assert_eq!(parse(&endless[..106]), Ok(None));
    assert_eq!(parse(&endless), Err(NoHeader::Malformed));
}

#[test]
fn version_2_names_client_and_destination() {
    assert_eq!(whole(&v2_header(0x21, 0x11, &V4)).addresses, pair("192.0.2.7:56324", "198.51.100.1:443"));
    let mut v6 = [0; 36];
    (v6[0], v6[15], v6[16], v6[31]) = (0xfe, 7, 0xfe, 1);
    (v6[33], v6[35]) = (80, 81);
    assert_eq!(whole(&v2_header(0x21, 0x21, &v6)).addresses, pair("[fe00::7]:80", "[fe00::1]:81"));
    for (command, family, body) in [
        (0x20, 0x00, &[][..]),
        (0x20, 0x11, &V4),
        (0x20, 0xff, &[1, 2]),
        (0x21, 0x00, &[9; 5]),
        (0x21, 0x31, &[0; 216]),
    ] {
        assert_eq!(whole(&v2_header(command, family, body)).addresses, None);
    }
}

#[test]
fn extensions_are_skipped_and_a_checksum_is_checked() {
    let with = |extensions: &[u8]| v2_header(0x21, 0x11, &[&V4, extensions].concat());
    assert!(whole(&with(b"\x02\x00\x0bexample.com\x04\x00\x00")).addresses.is_some());
    for broken in [&b"\x02"[..], b"\x02\x00", b"\x02\x00\x02x", b"\x03\x00\x03abc"] {
        assert_eq!(parse(&with(broken)), Err(NoHeader::Malformed), "{broken:?}");
    }
    let mut summed = with(b"\x04\x00\x01x\x03\x00\x04\0\0\0\0\x04\x00\x01y");
    let at = summed.len() - 8;
    let sum = crc32c(&summed).to_be_bytes();
    summed[at..at + 4].copy_from_slice(&sum);
    assert!(whole(&summed).addresses.is_some());
    summed[at] ^= 1;
    assert_eq!(parse(&summed), Err(NoHeader::Malformed));
}

#[test]
fn the_checksum_is_castagnoli_s() {
    // The check value of the algorithm, and a vector of RFC 3720 appendix B.4.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn what_is_no_header_is_told_apart() {
    for other in ["GET / HTTP/1.1\r\n", "PROXX", "\r\n\r\n\0\r\nQUIX", "\x16\x03\x01", "P\0"] {
        assert_eq!(parse(other.as_bytes()), Err(NoHeader::Absent), "{other:?}");
    }
    assert_eq!(parse(b""), Ok(None));
    assert_eq!(parse(&v2_header(0x31, 0x11, &V4)), Err(NoHeader::Malformed));
    assert_eq!(parse(&v2_header(0x22, 0x11, &V4)), Err(NoHeader::Malformed));
    assert_eq!(parse(&v2_header(0x21, 0x12, &V4)), Err(NoHeader::Malformed));
    assert_eq!(parse(&v2_header(0x21, 0x11, &V4[..11])), Err(NoHeader::Malformed));
    assert_eq!(parse(&v2_header(0x21, 0x11, &[0; 4081])), Err(NoHeader::TooLong));
}
