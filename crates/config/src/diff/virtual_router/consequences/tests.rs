use evenkeel_failover::vrrp::authentication::{Hmac, Key, Password};
use evenkeel_failover::vrrp::params::{Family, Peer, Priority, Settings, VirtualRouterId};

use super::*;

fn with(change: impl FnOnce(&mut Settings)) -> VirtualRouter {
    let addresses = vec![Address { ip: "192.0.2.100".parse().unwrap(), prefix: 24 }];
    let mut settings = Settings::new(Version::V3, Family::V4, VirtualRouterId::new(51).unwrap(), addresses);
    change(&mut settings);
    VirtualRouter {
        name: "public".parse().unwrap(),
        interface: "eth0".into(),
        source: None,
        params: Params::new(settings).unwrap(),
        virtual_mac: false,
        notify: Vec::new(),
        provider: None,
        sync_group: None,
        routes: Vec::new(),
        rules: Vec::new(),
        track: Vec::new(),
    }
}

fn peers(last: &[u8]) -> Delivery {
    let peer = |last: &u8| Peer { address: [192, 0, 2, *last].into(), least_hop_limit: 255 };
    Delivery::Unicast(last.iter().map(peer).collect())
}

#[test]
fn what_all_understand_needs_no_words() {
    let more = with(|settings| {
        settings.interval = evenkeel_failover::vrrp::interval::Interval::new(Duration::from_secs(2)).unwrap();
        settings.addresses.push(Address { ip: "192.0.2.101".parse().unwrap(), prefix: 24 });
    });
    assert_eq!(of(&with(|_| {}), &more), [""; 0]);
    let (two, three) = (with(|s| s.delivery = peers(&[1, 2])), with(|s| s.delivery = peers(&[1, 2, 3])));
    assert_eq!(of(&two, &three), [""; 0]);
    assert!(of(&three, &two)[0].contains("the same peers"));
}

#[test]
fn another_number_is_another_router_and_another_priority_may_move_the_addresses() {
    let other = with(|settings| settings.vrid = VirtualRouterId::new(52).unwrap());
    let said = of(&with(|_| {}), &other);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("192.0.2.100/24 is handed over, and the new one begins as a backup"),
        "{said:?}"
    );
    let lower = with(|settings| settings.priority = Priority::new(90).unwrap());
    assert!(of(&with(|_| {}), &lower)[0].starts_with("the others are told at once"));
}

fn hmac(mode: Mode, keys: &[u8], active_key: u8) -> Authentication {
    let key = |id: &u8| Key { id: *id, secret: vec![*id; 32] };
    Authentication::Hmac(Hmac { keys: keys.iter().map(key).collect(), active_key, mode, window: None })
}

#[test]
fn steps_of_a_change_of_keys_leave_the_nodes_on_speaking_terms_and_a_leap_does_not() {
    use Mode::{Enforce, Permissive, ReceiveOnly};
    let steps = [
        Authentication::None,
        hmac(ReceiveOnly, &[1], 1),
        hmac(Permissive, &[1], 1),
        hmac(Enforce, &[1], 1),
        hmac(Enforce, &[1, 2], 1),
        hmac(Enforce, &[1, 2], 2),
        hmac(Enforce, &[2], 2),
    ];
    for two in steps.windows(2) {
        assert!(!is_estranged(&two[0], &two[1]) && !is_estranged(&two[1], &two[0]), "{two:?}");
    }
    for (one, other) in [(0, 2), (1, 3), (3, 5), (4, 6), (0, 6)] {
        assert!(is_estranged(&steps[one], &steps[other]), "{one} {other}");
    }
    let password = Authentication::Pass(Password::new("secret12"));
    assert!(is_estranged(&Authentication::None, &password));
}

#[test]
fn a_removed_router_hands_over_what_no_other_has_taken() {
    let old = with(|settings| {
        settings.addresses.push(Address { ip: "192.0.2.101".parse().unwrap(), prefix: 24 });
    });
    let mut taker = with(|settings| settings.vrid = VirtualRouterId::new(52).unwrap());
    taker.name = "other".parse().unwrap();
    // 255/256 s of skew and 250 ms for the way, in whole milliseconds.
    assert_eq!(
        removed(&old, std::slice::from_ref(&taker)),
        "192.0.2.101/24 is handed over to another node that has the router still, for at most 1s247ms, and then given \
         away; 192.0.2.100/24 belongs to another router now"
    );
    let said = moved(&taker, None, std::slice::from_ref(&old));
    assert!(said[0].starts_with("192.0.2.100/24 comes from virtual router public"), "{said:?}");
    assert_eq!(moved(&old, Some(&old), std::slice::from_ref(&old)), [""; 0]);
}
