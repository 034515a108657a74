//! `vectors/` holds what real clients sent to a socket that only listened: `openssl s_client` 3.0.19 (its name says
//! with which options; `fragments` is `-max_send_frag 512`) and curl 7.88 with the same library.

use super::*;

const TLS13: &[u8] = include_bytes!("vectors/openssl-tls13");
const TLS12: &[u8] = include_bytes!("vectors/openssl-tls12");
const NO_NAME: &[u8] = include_bytes!("vectors/openssl-no-name");
const FRAGMENTS: &[u8] = include_bytes!("vectors/openssl-fragments");
const CURL: &[u8] = include_bytes!("vectors/curl");

fn read(bytes: &[u8]) -> Hello {
    parse_hello(bytes).unwrap().unwrap()
}

#[test]
fn real_clients_are_understood() {
    let http = [b"h2".to_vec(), b"http/1.1".to_vec()];
    let hello = read(TLS13);
    assert_eq!(hello.server_name.as_deref(), Some("www.example.com"));
    assert_eq!(hello.protocols, http);
    assert_eq!(hello.versions, [0x0304, 0x0303, 0x0302, 0x0301]);

    let hello = read(TLS12);
    assert_eq!(hello.server_name.as_deref(), Some("Shop.Example.com"), "as it was sent");
    assert_eq!((hello.protocols, hello.versions), (Vec::<Vec<u8>>::new(), vec![0x0303]));

    assert_eq!(read(NO_NAME).server_name, None);
    let hello = read(CURL);
    assert_eq!((hello.server_name.as_deref(), hello.protocols), (Some("api.example.com"), http.to_vec()));
}

#[test]
fn clients_without_instructions_for_aes_are_told_by_their_first_suite() {
    assert!(!read(TLS13).prefers_chacha, "OpenSSL begins with AES-256");
    // The suites stand behind the record's and the message's header, version, random and session id.
    let place = 5 + 4 + 2 + 32 + 1 + usize::from(TLS13[43]);
    let with = |first: u16, second: u16| {
        let mut bytes = TLS13.to_vec();
        bytes[place + 2..place + 4].copy_from_slice(&first.to_be_bytes());
        bytes[place + 4..place + 6].copy_from_slice(&second.to_be_bytes());
        read(&bytes).prefers_chacha
    };
    assert!(with(0x1303, 0x1301));
    assert!(with(0xcca9, 0xc02b));
    // Reserved values in front mean nothing (RFC 8701).
    assert!(with(0x0a0a, 0x1303));
    assert!(!with(0x0a0a, 0x1301));
}

#[test]
fn a_hello_in_several_records_is_one() {
    // Three records of at most 512 bytes.
    assert_eq!(&FRAGMENTS[..5], [22, 3, 1, 2, 0]);
    assert_eq!(&FRAGMENTS[517..522], [22, 3, 1, 2, 0]);
    let hello = read(FRAGMENTS);
    assert_eq!(hello.server_name.as_deref(), Some("fragments.example.com"));
    assert_eq!((hello.protocols.len(), hello.protocols[11].len()), (12, 93));
}

/// The message of `bytes`, cut into records of `size` bytes.
fn cut(bytes: &[u8], size: usize) -> Vec<u8> {
    let pieces = bytes[5..].chunks(size);
    let record =
        |piece: &[u8]| [&[22, 3, 1], &u16::try_from(piece.len()).unwrap().to_be_bytes()[..], piece].concat();
    pieces.flat_map(record).collect()
}

#[test]
fn pieces_and_records_of_any_size_make_no_difference() {
    for bytes in [TLS13, TLS12, NO_NAME, CURL] {
        let whole = read(bytes);
        for end in 0..bytes.len() {
            assert_eq!(parse_hello(&bytes[..end]), Ok(None), "{end}");
        }
        for size in [1, 2, 3, 4, 5, 100] {
            assert_eq!(read(&cut(bytes, size)), whole, "records of {size}");
        }
        // What comes after the hello is not looked at: early data, for one.
        assert_eq!(read(&[bytes, b"whatever"].concat()), whole);
    }
}

/// A hello with these extensions.
fn with(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let two = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let each = |(kind, data): &(u16, &[u8])| [&kind.to_be_bytes()[..], &two(data.len()), data].concat();
    let extensions: Vec<u8> = extensions.iter().flat_map(each).collect();
    let mut body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
    body.extend_from_slice(&two(extensions.len()));
    body.extend_from_slice(&extensions);
    message(&body)
}

fn message(body: &[u8]) -> Vec<u8> {
    let two = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    [&[22, 3, 1], &two(body.len() + 4)[..], &[1, 0], &two(body.len()), body].concat()
}

#[test]
fn what_is_no_tls_is_known_by_its_first_bytes() {
    for bytes in [&b"G"[..], b"GET / HTTP/1.1\r\n", b"SSH-2.0-x", &[0x80, 0x2e, 1], &[22, 2]] {
        assert_eq!(parse_hello(bytes), Err(NoHello::NotTls), "{bytes:?}");
    }
    // A message of another kind: a server's hello.
    assert_eq!(parse_hello(&[22, 3, 3, 0, 4, 2, 0, 0, 0]), Err(NoHello::NotTls));
    assert_eq!(parse_hello(b""), Ok(None));
}

#[test]
fn what_is_against_the_rules_is_refused() {
    let name = |text: &[u8]| {
        let length = u8::try_from(text.len()).unwrap();
        [&[0, length + 3, 0, 0, length], text].concat()
    };
    let good = name(b"a.example");
    assert_eq!(read(&with(&[(0, &good)])).server_name.as_deref(), Some("a.example"));
    let two_names = [&[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'][..]].concat();
    let after_the_list = [&good[..], b"x"].concat();
    for (what, bytes) in [
        ("an extension twice", with(&[(0, &good), (0, &good)])),
        ("two names", with(&[(0, &two_names)])),
        ("an empty name", with(&[(0, &name(b""))])),
        ("an empty list", with(&[(0, &[0, 0])])),
        ("a name with a space", with(&[(0, &name(b"a b"))])),
        ("a name that is no ASCII", with(&[(0, &name(&[0xff]))])),
        ("bytes after the list", with(&[(0, &after_the_list)])),
        ("a list longer than its extension", with(&[(0, &[0, 9, 0, 0, 1, b'a'])])),
        ("an empty protocol", with(&[(16, &[0, 2, 0, 0])])),
        ("half a version", with(&[(43, &[3, 3, 4, 3])])),
        (
            "an odd length of suites",
            message(&[&[3, 3][..], &[7; 32], &[0], &[0, 3, 1, 2, 3], &[1, 0]].concat()),
        ),
        ("no compression", message(&[&[3, 3][..], &[7; 32], &[0], &[0, 2, 1, 2], &[0]].concat())),
        (
            "a long session",
            message(&[&[3, 3][..], &[7; 32], &[33], &[7; 33], &[0, 2, 1, 2], &[1, 0]].concat()),
        ),
        (
            "bytes after the extensions",
            message(&[&[3, 3][..], &[7; 32], &[0], &[0, 2, 1, 2], &[1, 0], &[0, 0, 9]].concat()),
        ),
        ("an empty record", vec![22, 3, 1, 0, 0]),
        ("a record that is too long", vec![22, 3, 1, 0x40, 1]),
        ("a second message in the record", [&[22, 3, 1, 0, 9][..], &[1, 0, 0, 4], &[0; 5]].concat()),
    ] {
        assert_eq!(parse_hello(&bytes), Err(NoHello::Malformed), "{what}");
    }
}

#[test]
fn old_and_unknown_things_are_fine() {
    let old = message(&[&[3, 1][..], &[7; 32], &[0], &[0, 2, 1, 2], &[1, 0]].concat());
    assert_eq!(read(&old), Hello { versions: vec![0x0301], ..Hello::default() });
    // GREASE (RFC 8701), and a name of a kind that nobody has defined.
    let hello = read(&with(&[(0x0a0a, b"?"), (0, &[0, 3, 9, 9, 9]), (43, &[4, 0x0a, 0x0a, 3, 4])]));
    assert_eq!(hello, Hello { versions: vec![0x0a0a, 0x0304], ..Hello::default() });
}

#[test]
fn a_hello_without_end_has_one() {
    assert_eq!(parse_hello(&[22, 3, 1, 0, 4, 1, 0, 0x40, 0]), Err(NoHello::TooLong));
    // Records of one byte: five of six bytes are headers, and the bound counts them.
    let body = vec![0; 8 * 1024];
    let slow = cut(&[&[22, 3, 1, 0, 0][..], &[1, 0, 0x20, 0], &body].concat(), 1);
    assert_eq!(parse_hello(&slow[..MOST_BYTES - 1]), Ok(None));
    assert_eq!(parse_hello(&slow[..MOST_BYTES]), Err(NoHello::TooLong));
}
