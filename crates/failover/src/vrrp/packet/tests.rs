use super::super::authentication::Password;
use super::*;

const SOURCE: [u8; 4] = [10, 99, 0, 1];
const GROUP: [u8; 4] = [224, 0, 0, 18];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|letter| !letter.is_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
}

/// Router 51, priority 150, address 10.99.0.50, 0.1 s in version 3 and 1 s in version 2.
fn advertisement(version: Version) -> Advertisement {
    Advertisement {
        version,
        vrid: VirtualRouterId::new(51).unwrap(),
        priority: Priority::new(150),
        interval: match version {
            Version::V2 => Interval::SECOND,
            Version::V3 => Interval::from_centis(10).unwrap(),
        },
        addresses: vec![[10, 99, 0, 50].into()],
        password: None,
    }
}

/// Both directions: `advertisement` is written as `hex`, and `hex` means `advertisement`.
fn golden(advertisement: &Advertisement, destination: IpAddr, sent: Coverage, seen: Coverage, hex: &str) {
    let source: IpAddr = if destination.is_ipv4() { SOURCE.into() } else { "fe80::1".parse().unwrap() };
    let written = advertisement.encode(source, destination, sent);
    assert_eq!(written, bytes(hex));
    let message = Message::parse(Family::of(source), &written).unwrap();
    assert_eq!(message.coverage(source, destination), Some(seen));
    assert!(message.is_advertisement());
    assert_eq!((message.version, message.vrid), (advertisement.version, advertisement.vrid.number()));
    assert_eq!((message.priority, message.interval), (advertisement.priority, Some(advertisement.interval)));
    assert_eq!(message.addresses().collect::<Vec<_>>(), advertisement.addresses);
    assert_eq!(message.trailer, None);
}

#[test]
fn version_3_to_the_group_is_what_keepalived_sends() {
    let hex = "3133 9601 000a 4339 0a63 0032";
    let with_header = Coverage::WithPseudoHeader;
    golden(&advertisement(Version::V3), GROUP.into(), with_header, with_header, hex);
}

#[test]
fn version_3_as_rfc_9568_has_another_checksum() {
    let hex = "3133 9601 000a 2e2c 0a63 0032";
    let bare = Coverage::MessageOnly;
    golden(&advertisement(Version::V3), GROUP.into(), bare, bare, hex);
}

#[test]
fn a_unicast_copy_has_the_checksum_of_its_peer() {
    let hex = "3133 9601 000a 18e7 0a63 0032";
    let with_header = Coverage::WithPseudoHeader;
    golden(&advertisement(Version::V3), [10, 99, 0, 2].into(), with_header, with_header, hex);
}

#[test]
fn a_release_has_priority_0() {
    let hex = "3133 0001 000a d939 0a63 0032";
    let release = Advertisement { priority: None, ..advertisement(Version::V3) };
    golden(&release, GROUP.into(), Coverage::WithPseudoHeader, Coverage::WithPseudoHeader, hex);
    // The same of version 2, as captured from keepalived when it stops.
    let release = Advertisement { priority: None, ..advertisement(Version::V2) };
    let hex = "2133 0001 0001 d435 0a63 0032 0000 0000 0000 0000";
    golden(&release, GROUP.into(), Coverage::WithPseudoHeader, Coverage::MessageOnly, hex);
}

#[test]
fn version_2_sums_the_message_alone_whatever_is_set() {
    let hex = "2133 9601 0001 3e35 0a63 0032 0000 0000 0000 0000";
    for sent in [Coverage::WithPseudoHeader, Coverage::MessageOnly] {
        golden(&advertisement(Version::V2), GROUP.into(), sent, Coverage::MessageOnly, hex);
    }
}

#[test]
fn version_2_carries_a_password() {
    let hex = "2133 9601 0101 cfb6 0a63 0032 7365 6372 6574 3132";
    let password = Password::new("secret12");
    let advertisement = Advertisement { password: Some(password), ..advertisement(Version::V2) };
    golden(&advertisement, GROUP.into(), Coverage::WithPseudoHeader, Coverage::MessageOnly, hex);
    let bytes = bytes(hex);
    let message = Message::parse(Family::V4, &bytes).unwrap();
    assert_eq!((message.authentication_type, message.password), (1, Some(password)));
}

#[test]
fn version_3_over_ipv6_always_sums_the_pseudo_header() {
    let advertisement = Advertisement {
        addresses: vec!["fe80::50".parse().unwrap(), "fd99::50".parse().unwrap()],
        ..advertisement(Version::V3)
    };
    let hex = "3133 9602 000a 3dd6 fe80 0000 0000 0000 0000 0000 0000 0050
               fd99 0000 0000 0000 0000 0000 0000 0050";
    for sent in [Coverage::WithPseudoHeader, Coverage::MessageOnly] {
        golden(&advertisement, "ff02::12".parse().unwrap(), sent, Coverage::WithPseudoHeader, hex);
    }
}

#[test]
fn any_number_of_addresses_passes() {
    for count in [1, 2, 20, 255] {
        let addresses: Vec<IpAddr> = (0..count).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        let long = Advertisement { addresses: addresses.clone(), ..advertisement(Version::V3) };
        let written = long.encode(SOURCE.into(), GROUP.into(), Coverage::default());
        assert_eq!(written.len(), 8 + 4 * usize::from(count));
        let message = Message::parse(Family::V4, &written).unwrap();
        assert_eq!(message.addresses().collect::<Vec<_>>(), addresses);
        assert_eq!(message.coverage(SOURCE.into(), GROUP.into()), Some(Coverage::WithPseudoHeader));
    }
}

#[test]
fn reserved_bits_are_ignored() {
    // The reserved four bits set: 000a becomes f00a.
    let bytes = bytes("3133 9601 f00a 5338 0a63 0032");
    let message = Message::parse(Family::V4, &bytes).unwrap();
    assert_eq!(message.interval, Interval::from_centis(10));
}

#[test]
fn a_message_cut_off_at_any_byte_is_refused() {
    for (hex, family) in [
        ("3133 9601 000a 4339 0a63 0032", Family::V4),
        ("2133 9601 0001 3e35 0a63 0032 0000 0000 0000 0000", Family::V4),
        ("3133 9601 000a 3dd6 fe80 0000 0000 0000 0000 0000 0000 0050", Family::V6),
    ] {
        let whole = bytes(hex);
        assert!(Message::parse(family, &whole).is_ok());
        for end in 0..whole.len() {
            let refusal = if end < 8 { Refusal::Truncated } else { Refusal::Length };
            assert_eq!(Message::parse(family, &whole[..end]), Err(refusal), "{hex} cut at {end}");
        }
        for more in (1..40).filter(|&more| more != TRAILER_BYTES) {
            let mut longer = whole.clone();
            longer.resize(whole.len() + more, 0);
            assert_eq!(Message::parse(family, &longer), Err(Refusal::Length), "{more} more");
        }
    }
}

#[test]
fn versions_that_we_do_not_know_are_refused() {
    let mut bytes = bytes("3133 9601 000a 4339 0a63 0032");
    for version in [0, 1, 4, 15] {
        bytes[0] = version << 4 | 1;
        assert_eq!(Message::parse(Family::V4, &bytes), Err(Refusal::Version));
    }
    bytes[0] = 0x21;
    assert_eq!(Message::parse(Family::V6, &bytes), Err(Refusal::Version));
}

#[test]
fn carp_is_no_vrrp() {
    // CARP of OpenBSD: the same protocol and group, version 2, type 1, 36 bytes, and a 7 where VRRP counts addresses.
    let mut carp = vec![0x21, 51, 0, 7, 0, 1, 0, 0];
    carp.resize(36, 0xaa);
    assert_eq!(Message::parse(Family::V4, &carp), Err(Refusal::Length));
}

#[test]
fn one_changed_bit_is_seen() {
    let whole = bytes("3133 9601 000a 4339 0a63 0032");
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(message) = Message::parse(Family::V4, &changed) {
            assert_eq!(message.coverage(SOURCE.into(), GROUP.into()), None, "bit {bit}");
        }
    }
}
