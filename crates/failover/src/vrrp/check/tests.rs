use std::net::IpAddr;

use super::super::authentication::{Key, Mode, Password};
use super::super::interval::Interval;
use super::super::params::{Address, Params, VirtualRouterId};
use super::*;

fn address(text: &str, prefix: u8) -> Address {
    Address { ip: text.parse().unwrap(), prefix }
}

fn v3(addresses: Vec<Address>) -> Settings {
    let family = Family::of(addresses.first().map_or(IpAddr::from([10, 0, 0, 1]), |address| address.ip));
    Settings::new(Version::V3, family, VirtualRouterId::new(1).unwrap(), addresses)
}

fn good() -> Settings {
    v3(vec![address("192.168.1.100", 24)])
}

fn parts(change: impl FnOnce(&mut Settings)) -> Vec<Part> {
    let mut settings = good();
    change(&mut settings);
    check(&settings).into_iter().map(|invalid| invalid.part).collect()
}

#[test]
fn good_settings_become_parameters() {
    assert_eq!(check(&good()), []);
    assert_eq!(Params::new(good()).unwrap().settings(), &good());
    assert_eq!(check(&v3(vec![address("fe80::50", 64), address("fd99::50", 64)])), []);
}

#[test]
fn version_2_is_for_ipv4_and_whole_seconds() {
    let mut settings = v3(vec![address("fe80::50", 64)]);
    settings.version = Version::V2;
    assert_eq!(check(&settings)[0].part, Part::Version);
    let tenth = Interval::from_centis(10).unwrap();
    assert_eq!(
        parts(|settings| (settings.version, settings.interval) = (Version::V2, tenth)),
        [Part::Interval]
    );
    assert_eq!(parts(|settings| settings.interval = tenth), []);
    let minute = Interval::from_secs(60).unwrap();
    assert_eq!(parts(|settings| settings.interval = minute), [Part::Interval]);
}

#[test]
fn addresses_are_of_one_family_of_the_link_and_there_once() {
    let with = |addresses: Vec<Address>| parts(|settings| settings.addresses = addresses);
    assert_eq!(with(vec![]), [Part::Addresses]);
    for wrong in ["fe80::1", "0.0.0.0", "224.0.0.1", "127.0.0.1", "192.168.1.100"] {
        let found = with(vec![address("192.168.1.100", 24), address(wrong, 24)]);
        assert_eq!(found, [Part::Addresses], "{wrong}");
    }
    assert_eq!(with(vec![address("192.168.1.100", 33)]), [Part::Addresses]);
    assert_eq!(with(vec![address("192.168.1.100", 32)]), []);
    let many = |count: u16| {
        (0..count).map(|n| Address {
            ip: IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]),
            prefix: 16,
        })
    };
    assert_eq!(with(many(255).collect()), []);
    assert_eq!(with(many(256).collect()), [Part::Addresses]);
}

#[test]
fn the_first_address_of_ipv6_is_link_local() {
    let found = check(&v3(vec![address("fd99::50", 64), address("fe80::50", 64)]));
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("must be link-local"), "{}", found[0]);
}

#[test]
fn peers_are_hosts_of_the_family_and_there_once() {
    let with = |addresses: &[&str]| {
        let peer = |text: &&str| Peer { address: text.parse().unwrap(), least_hop_limit: 1 };
        parts(|settings| settings.delivery = Delivery::Unicast(addresses.iter().map(peer).collect()))
    };
    assert_eq!(with(&["192.168.1.12", "192.168.1.13"]), []);
    for wrong in [&[][..], &["fe80::1"], &["224.0.0.18"], &["0.0.0.0"], &["10.0.0.1", "10.0.0.1"]] {
        assert_eq!(with(wrong), [Part::Delivery], "{wrong:?}");
    }
}

#[test]
fn authentication_fits_version_and_delivery() {
    let password = Authentication::Pass(Password::new("secret12"));
    assert_eq!(parts(|settings| settings.authentication = password.clone()), [Part::Authentication]);
    let v2 = |settings: &mut Settings| {
        settings.version = Version::V2;
        settings.authentication = password.clone();
    };
    assert_eq!(parts(v2), []);

    let with = |unicast: bool, keys: &[(u8, usize)]| {
        parts(|settings| {
            if unicast {
                let peer = Peer { address: [10, 0, 0, 1].into(), least_hop_limit: 1 };
                settings.delivery = Delivery::Unicast(vec![peer]);
            }
            settings.authentication = Authentication::Hmac(Hmac {
                keys: keys.iter().map(|&(id, length)| Key { id, secret: vec![1; length] }).collect(),
                active_key: 1,
                mode: Mode::Enforce,
                window: None,
            });
        })
    };
    assert_eq!(with(true, &[(1, 32), (2, 64)]), []);
    assert_eq!(with(false, &[(1, 32)]), [Part::Authentication], "multicast");
    assert_eq!(with(true, &[(2, 32)]), [Part::Authentication], "the active one is missing");
    assert_eq!(with(true, &[(1, 32), (1, 32)]), [Part::Authentication]);
    assert_eq!(with(true, &[(1, 32), (0, 32)]), [Part::Authentication]);
    assert_eq!(with(true, &[(1, 31)]), [Part::Authentication]);
    assert_eq!(with(true, &[(1, 65)]), [Part::Authentication]);
}

#[test]
fn delays_and_rounds_have_bounds() {
    let after = |seconds| parts(|settings| settings.preempt = Preempt::After(Duration::from_secs(seconds)));
    assert_eq!((after(1000), after(1001)), (vec![], vec![Part::Preempt]));
    let count = |count| parts(|settings| settings.announcing.count = count);
    assert_eq!((count(0), count(20), count(21)), (vec![Part::Announcing], vec![], vec![Part::Announcing]));
    let refresh =
        |millis| parts(|settings| settings.announcing.refresh = Some(Duration::from_millis(millis)));
    assert_eq!((refresh(999), refresh(1000)), (vec![Part::Announcing], vec![]));
    assert_eq!(parts(|settings| settings.announcing.refresh = None), []);
}

#[test]
fn settings_pass_through_json_and_wrong_ones_do_not() {
    let params = Params::new(good()).unwrap();
    let json = serde_json::to_string(&params).unwrap();
    assert_eq!(serde_json::from_str::<Params>(&json).unwrap(), params);
    let error = serde_json::from_str::<Params>(&json.replace("192.168.1.100", "224.0.0.1")).unwrap_err();
    assert!(error.to_string().contains("cannot be held by one host"), "{error}");
}
