use proptest::prelude::*;

use super::*;

fn key() -> Key {
    ["192.0.2.1", "192.0.2.2", "2001:db8::1"].iter().map(|ip| ip.parse().unwrap()).collect()
}

fn flow_of(local: &str, client: &str) -> Flow {
    Flow { client: client.parse().unwrap(), local: local.parse().unwrap() }
}

fn read(pieces: &[Vec<u8>]) -> Result<Option<(Key, Message)>, Flaw> {
    let mut reassembly = Reassembly::default();
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        assert_eq!(reassembly.take(piece), Ok(None));
    }
    reassembly.take(last)
}

#[test]
fn a_message_looks_like_this() {
    let key = ["192.0.2.1".parse().unwrap()];
    let said = pieces(&key, &Message::Refuse { number: 0x0102_0304_0506_0708, why: Why::Active });
    let expected = [1, 1, 0, 1, 4, 192, 0, 2, 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 3];
    assert_eq!(said, [expected.to_vec()]);
    let flows = vec![flow_of("192.0.2.1:443", "198.51.100.9:50000")];
    let said = pieces(&key, &Message::Ended { number: 1, flows });
    let flow = [0, 0, 1, 0xbb, 198, 51, 100, 9, 0xc3, 0x50];
    let expected =
        [&[1, 1, 0, 1, 4, 192, 0, 2, 1, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &flow[..]].concat();
    assert_eq!(said, [expected]);
}

#[test]
fn as_many_flows_as_there_may_be_come_in_pieces_and_are_whole_again() {
    let key = key();
    let flows: Vec<Flow> = (0..MOST_FLOWS)
        .map(|number| {
            let port = u16::try_from(number % 60_000).unwrap();
            let net = u16::try_from(number / 60_000).unwrap();
            let client = SocketAddr::from((std::net::Ipv6Addr::new(0x2001, 0xdb8, 9, net, 0, 0, 0, 1), port));
            Flow { client, local: "[2001:db8::1]:443".parse().unwrap() }
        })
        .collect();
    let message = Message::Offer { number: 7, flows };
    let said = pieces(&key, &message);
    // 262,144 × 22 bytes in pieces of 32,766.
    assert_eq!(said.len(), 177);
    assert!(said.iter().all(|piece| piece.len() <= MOST_PIECE));
    assert_eq!(read(&said), Ok(Some((key, message))));
}

#[test]
fn what_never_ends_and_what_speaks_otherwise_is_refused() {
    let mut reassembly = Reassembly::default();
    let piece = [&[VERSION, 0][..], &[0; MOST_PIECE - 2]].concat();
    let taken = (0..1000).take_while(|_| reassembly.take(&piece) == Ok(None)).count();
    assert_eq!(taken, MOST_MESSAGE / (MOST_PIECE - 2));
    assert_eq!(reassembly.take(&piece), Err(Flaw::TooLong));
    assert_eq!(Reassembly::default().take(&[2, 1, 0]), Err(Flaw::Version(2)));
    // An empty piece that is not the last could come for ever.
    for piece in [&[][..], &[VERSION], &[VERSION, 0], &[VERSION, 1], &[VERSION, 2, 0]] {
        assert_eq!(Reassembly::default().take(piece), Err(Flaw::Senseless), "{piece:?}");
    }
}

#[test]
fn there_is_one_way_to_say_it() {
    let good = pieces(&key(), &Message::Hello { giving: Some(7), taking: None }).remove(0);
    assert!(read(std::slice::from_ref(&good)).is_ok());
    for end in 2..good.len() {
        assert_eq!(Reassembly::default().take(&good[..end]), Err(Flaw::Senseless), "{end}");
    }
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Reassembly::default().take(&bytes)
    };
    // The order of the key, its family, the kind, a number that is not there, and more than the message.
    assert_eq!(changed(8, 3), Err(Flaw::Senseless));
    assert_eq!(changed(4, 6), Err(Flaw::Senseless));
    assert_eq!(changed(31, 99), Err(Flaw::Senseless));
    assert_eq!(changed(good.len() - 1, 1), Err(Flaw::Senseless));
    assert_eq!(Reassembly::default().take(&[&good[..], &[0]].concat()), Err(Flaw::Senseless));
}

#[test]
fn what_is_of_one_machine_only_is_no_part_of_a_flow() {
    let client: SocketAddr = "[fe80::9%3]:1".parse().unwrap();
    let named = flow(client, "[::ffff:192.0.2.1]:443".parse().unwrap());
    assert_eq!(named, flow_of("192.0.2.1:443", "[fe80::9]:1"));
}

proptest! {
    #[test]
    fn every_reason_and_number_comes_back(place in 0..WHYS.len(), number: u64, other: Option<u64>) {
        for message in [
            Message::Refuse { number, why: WHYS[place] },
            Message::Hello { giving: other, taking: Some(number) },
            Message::Ready { number },
            Message::Done { number },
            Message::Stopped { number },
            Message::Moved { number, flows: vec![flow_of("192.0.2.2:80", "203.0.113.5:9")] },
        ] {
            prop_assert_eq!(read(&pieces(&key(), &message)), Ok(Some((key(), message))));
        }
    }
}
