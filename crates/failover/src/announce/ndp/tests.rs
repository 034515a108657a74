use super::*;

const SENDER: LinkAddress = [0x02, 0x42, 0x0a, 0x63, 0x00, 0x01];

fn address_50() -> Ipv6Addr {
    "fd99::50".parse().unwrap()
}

/// fd99::50 lives at 02:42:0a:63:00:01, told by a host that does not forward.
fn golden() -> Vec<u8> {
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 0x02, 0x42, 0x0a, 0x63, 0, 1, 0x86, 0xdd];
    // Version 6, 32 bytes of ICMPv6, hop limit 255, from the address to all nodes.
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50]);
    frame.extend([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // Neighbour advertisement, its checksum, override; the target; where it lives.
    frame.extend([136, 0, 0x4e, 0x26, 0x20, 0, 0, 0]);
    frame.extend([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50]);
    frame.extend([2, 1, 0x02, 0x42, 0x0a, 0x63, 0, 1]);
    frame
}

#[test]
fn the_frame_has_the_golden_bytes() {
    assert_eq!(unsolicited(SENDER, address_50(), false)[..], golden());
}

#[test]
fn a_host_that_forwards_says_so() {
    let frame = unsolicited(SENDER, address_50(), true);
    assert_eq!(frame[14 + 40 + 2..14 + 40 + 5], [0xce, 0x25, 0xa0]);
}

#[test]
fn what_is_built_reads_back() {
    let told = NeighbourAdvertisement {
        source: address_50(),
        destination: ALL_NODES,
        router: true,
        solicited: false,
        overrides: true,
        target: address_50(),
        link_address: Some(SENDER),
    };
    let frame = unsolicited(SENDER, address_50(), true);
    assert_eq!(NeighbourAdvertisement::parse(&frame), Some(told));
    let mut padded = frame.to_vec();
    padded.extend([0; 7]);
    assert_eq!(NeighbourAdvertisement::parse(&padded), Some(told));
}

#[test]
fn cut_off_or_changed_it_is_not_believed() {
    let whole = golden();
    for end in 0..whole.len() {
        assert_eq!(NeighbourAdvertisement::parse(&whole[..end]), None, "cut at {end}");
    }
    // The type, the version, the next header, the hop limit, the kind and code of the message, and what the checksum
    // covers.
    for at in [12, 14, 20, 21, 54, 55, 58, 70, 80] {
        let mut changed = whole.clone();
        changed[at] ^= 0x11;
        assert_eq!(NeighbourAdvertisement::parse(&changed), None, "byte {at}");
    }
}

#[test]
fn options_of_length_zero_end_the_reading() {
    let mut frame = golden();
    frame[79] = 0;
    // The length of the option was 1: the checksum grows by as much.
    frame[57] += 1;
    assert_eq!(NeighbourAdvertisement::parse(&frame), None);
}

#[test]
fn without_a_link_address_it_still_counts() {
    let mut frame = golden();
    frame[78] = 14;
    // The kind of the option was 2, in the upper half of its word: the checksum shrinks by 0x0c00.
    frame[56] -= 0x0c;
    let told = NeighbourAdvertisement::parse(&frame).unwrap();
    assert_eq!((told.target, told.link_address), (address_50(), None));
}
