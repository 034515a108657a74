use std::net::Ipv4Addr;

use super::*;

/// 0.5 s after 1750000000.
const WALL: Duration = Duration::from_millis(1_750_000_000_500);
const WINDOW: Duration = Duration::from_secs(5);
/// Version 3, router 51, from 10.99.0.1 to 10.99.0.2.
const MESSAGE: [u8; 12] = [0x31, 0x33, 0x96, 0x01, 0x00, 0x0a, 0x18, 0xe7, 0x0a, 0x63, 0x00, 0x32];
/// Its trailer with key 7 = bytes 0 to 31, worked out with another implementation of HMAC.
const TRAILER: [u8; 28] = [
    0x01, 0x07, 0x00, 0x00, 0x68, 0x4e, 0xe1, 0x80, 0x80, 0x00, 0x00, 0x00, 0x9f, 0x5b, 0x60, 0x5d, 0x1b,
    0xf9, 0x4a, 0xac, 0x86, 0xfc, 0xf0, 0xf5, 0xfc, 0xf9, 0x97, 0x6b,
];
const TRAILER_V6: [u8; 28] = [
    0x01, 0x07, 0x00, 0x00, 0x68, 0x4e, 0xe1, 0x80, 0x80, 0x00, 0x00, 0x00, 0x0e, 0x0c, 0x22, 0x62, 0x76,
    0x0a, 0x56, 0x19, 0x86, 0xfb, 0x64, 0x97, 0x77, 0xa0, 0x13, 0x22,
];

fn settings(mode: Mode) -> Hmac {
    let key = |id, first: u8| Key { id, secret: (first..first + 32).collect() };
    Hmac { keys: vec![key(7, 0), key(8, 100)], active_key: 7, mode, window: None }
}

fn binding() -> Binding {
    let source = Ipv4Addr::new(10, 99, 0, 1).into();
    Binding { version: Version::V3, vrid: VirtualRouterId::new(51).unwrap(), source }
}

fn sealed(sequence: u64) -> (Vec<u8>, Trailer) {
    let mut bytes = MESSAGE.to_vec();
    seal(&settings(Mode::Enforce), &binding(), sequence, &mut bytes);
    let trailer = Trailer::parse(&bytes[12..]).unwrap();
    (bytes, trailer)
}

fn check(guard: &mut Guard, mode: Mode, wall: Duration, trailer: Option<&Trailer>) -> Result<(), Refusal> {
    guard.check(&settings(mode), WINDOW, Some(wall), &binding(), &MESSAGE, trailer)
}

#[test]
fn the_trailer_has_the_golden_bytes() {
    let sequence = Sealer::default().next(WALL, WINDOW);
    let (bytes, trailer) = sealed(sequence);
    assert_eq!((&bytes[..12], &bytes[12..]), (&MESSAGE[..], &TRAILER[..]));
    assert_eq!(check(&mut Guard::default(), Mode::Enforce, WALL, Some(&trailer)), Ok(()));
}

#[test]
fn the_trailer_over_ipv6_has_the_golden_bytes() {
    let mut bytes = vec![0x31, 0x33, 0x96, 0x02, 0x00, 0x0a, 0x3d, 0xd6];
    for address in ["fe80::50", "fd99::50"] {
        bytes.extend(address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    let binding = Binding { source: "fe80::1".parse().unwrap(), ..binding() };
    seal(&settings(Mode::Permissive), &binding, Sealer::default().next(WALL, WINDOW), &mut bytes);
    assert_eq!(bytes[40..], TRAILER_V6);
}

#[test]
fn one_trailer_serves_all_peers() {
    // Another checksum, as another destination has it.
    let mut message = MESSAGE;
    message[6..8].copy_from_slice(&[0x43, 0x39]);
    let trailer = Trailer::parse(&TRAILER).unwrap();
    let enforce = settings(Mode::Enforce);
    let result = Guard::default().check(&enforce, WINDOW, Some(WALL), &binding(), &message, Some(&trailer));
    assert_eq!(result, Ok(()));
}

#[test]
fn every_bit_but_the_checksum_is_bound() {
    let enforce = settings(Mode::Enforce);
    let judge = |message: &[u8], trailer: &[u8], binding: &Binding| {
        let trailer = Trailer::parse(trailer).unwrap();
        Guard::default().check(&enforce, WINDOW, Some(WALL), binding, message, Some(&trailer))
    };
    for at in (0..12).filter(|at| !(6..8).contains(at)) {
        let mut message = MESSAGE;
        message[at] ^= 1;
        assert_eq!(judge(&message, &TRAILER, &binding()), Err(Refusal::HmacWrong), "byte {at}");
    }
    for at in 9..28 {
        let mut trailer = TRAILER;
        trailer[at] ^= 1;
        assert_eq!(judge(&MESSAGE, &trailer, &binding()), Err(Refusal::HmacWrong), "byte {at}");
    }
    let others = [
        Binding { version: Version::V2, ..binding() },
        Binding { vrid: VirtualRouterId::new(52).unwrap(), ..binding() },
        Binding { source: Ipv4Addr::new(10, 99, 0, 3).into(), ..binding() },
    ];
    for other in others {
        assert_eq!(judge(&MESSAGE, &TRAILER, &other), Err(Refusal::HmacWrong), "{other:?}");
    }
    // The key's id: 8 is known and another key, 9 is unknown.
    for (id, refusal) in [(8, Refusal::HmacWrong), (9, Refusal::HmacKey)] {
        let mut trailer = TRAILER;
        trailer[1] = id;
        assert_eq!(judge(&MESSAGE, &trailer, &binding()), Err(refusal));
    }
}

#[test]
fn a_trailer_of_another_form_is_refused() {
    for at in [0, 2, 3] {
        let mut bytes = TRAILER;
        bytes[at] ^= 2;
        let trailer = Trailer::parse(&bytes).unwrap();
        let result = check(&mut Guard::default(), Mode::Permissive, WALL, Some(&trailer));
        assert_eq!(result, Err(Refusal::HmacTrailer));
    }
    assert_eq!(Trailer::parse(&TRAILER[1..]), None);
}

#[test]
fn modes_differ_in_what_they_send_and_in_what_they_want() {
    let mut plain = MESSAGE.to_vec();
    seal(&settings(Mode::ReceiveOnly), &binding(), 1, &mut plain);
    assert_eq!(plain, MESSAGE);
    let (_, wrong) = sealed(1);
    for mode in [Mode::ReceiveOnly, Mode::Permissive] {
        assert_eq!(check(&mut Guard::default(), mode, WALL, None), Ok(()));
        // A wrong trailer is worse than none.
        assert_eq!(check(&mut Guard::default(), mode, WALL, Some(&wrong)), Err(Refusal::HmacStale));
    }
    let result = check(&mut Guard::default(), Mode::Enforce, WALL, None);
    assert_eq!(result, Err(Refusal::HmacTrailer));
}

#[test]
fn clocks_may_differ_by_the_window_and_no_more() {
    let trailer = Trailer::parse(&TRAILER).unwrap();
    let at = |seconds| {
        let wall = Duration::from_secs(seconds);
        check(&mut Guard::default(), Mode::Enforce, wall, Some(&trailer))
    };
    assert_eq!(at(1_750_000_005), Ok(()));
    assert_eq!(at(1_749_999_995), Ok(()));
    assert_eq!(at(1_750_000_006), Err(Refusal::HmacStale));
    assert_eq!(at(1_749_999_994), Err(Refusal::HmacStale));
    let enforce = settings(Mode::Enforce);
    let unknown = Guard::default().check(&enforce, WINDOW, None, &binding(), &MESSAGE, Some(&trailer));
    assert_eq!(unknown, Err(Refusal::HmacStale), "without a clock nothing is fresh");
}

#[test]
fn the_window_is_three_intervals_or_five_seconds_or_what_was_said() {
    let seconds = |seconds| Interval::from_secs(seconds).unwrap();
    let mut hmac = settings(Mode::Enforce);
    assert_eq!(window(&hmac, seconds(1)), Duration::from_secs(5));
    assert_eq!(window(&hmac, seconds(10)), Duration::from_secs(30));
    hmac.window = Some(Duration::from_secs(2));
    assert_eq!(window(&hmac, seconds(10)), Duration::from_secs(2));
}

#[test]
fn a_message_counts_once() {
    let mut guard = Guard::default();
    let mut sealer = Sealer::default();
    let (_, first) = sealed(sealer.next(WALL, WINDOW));
    let (_, second) = sealed(sealer.next(WALL, WINDOW));
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&first)), Ok(()));
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&first)), Err(Refusal::HmacReplayed));
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&second)), Ok(()));
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&first)), Err(Refusal::HmacReplayed));
}

#[test]
fn a_forged_message_moves_nothing() {
    let mut guard = Guard::default();
    let mut forged = TRAILER;
    forged[7] += 3;
    let forged = Trailer::parse(&forged).unwrap();
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&forged)), Err(Refusal::HmacWrong));
    let honest = Trailer::parse(&TRAILER).unwrap();
    assert_eq!(check(&mut guard, Mode::Enforce, WALL, Some(&honest)), Ok(()));
}

#[test]
fn numbers_grow_even_when_the_clock_does_not() {
    let mut sealer = Sealer::default();
    // 1750000000 = 0x684ee180, half a second = 0x8000
    let first = 0x684e_e180_8000_0000;
    assert_eq!(sealer.next(WALL, WINDOW), first);
    assert_eq!(sealer.next(WALL, WINDOW), first + 1);
    assert_eq!(sealer.next(WALL - Duration::from_secs(4), WINDOW), first + 2);
    assert_eq!(sealer.next(WALL + Duration::from_millis(500), WINDOW), 0x684e_e181_0000_0000);
}

#[test]
fn a_clock_set_back_by_more_than_the_window_wins() {
    let mut sealer = Sealer::default();
    sealer.next(WALL + Duration::from_secs(3600), WINDOW);
    assert_eq!(sealer.next(WALL, WINDOW), 0x684e_e180_8000_0000);
}

#[test]
fn a_secret_is_not_shown() {
    let shown = format!("{:?}", settings(Mode::Enforce));
    assert!(shown.contains("hidden") && !shown.contains("31"), "{shown}");
}
