//! What others do: to the addresses, and on the wire.

use evenkeel_testkit::BOUND;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

#[test]
fn what_others_do_to_the_addresses_is_put_right_and_told() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");

    let seen = first.seen();
    pair.first.ip("address del 10.99.0.50/24 dev eth0");
    first.wait_after(seen, "10.99.0.50/24 was removed by somebody else; it is here again");
    on_first.wait_until(ip(ADDRESS), true);

    pair.second.ip("address add 10.99.0.50/24 dev eth0");
    second.wait_for("10.99.0.50/24 was added by somebody else; it was removed");
    on_second.wait_until(ip(ADDRESS), false);
    assert_eq!(first.router()["repaired_total"], 1);
    assert_eq!(second.router()["repaired_total"], 1);
}

#[test]
fn a_flood_of_broken_advertisements_changes_nothing_and_is_told_once_a_kind() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let seen = first.seen();
    // A wrong checksum, the wrong version, half a message; from beyond the link; and another router's.
    let messages: [&[u8]; 4] = [
        &[0x31, 51, 255, 1, 0, 10, 0xaa, 0xaa, 10, 99, 0, 50],
        &[0x21, 51, 255, 1, 0, 1, 0x3e, 0x35, 10, 99, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x31, 51],
        &[0x31, 77, 255, 1, 0, 10, 0xaa, 0xaa, 10, 99, 0, 50],
    ];
    pair.client.inside(|| {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
        let protocol = rustix::net::Protocol::from_raw(std::num::NonZeroU32::new(112).unwrap());
        let socket = rustix::net::socket_with(
            AddressFamily::INET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(protocol),
        )
        .unwrap();
        sockopt::set_ip_multicast_if(&socket, &"10.99.0.9".parse().unwrap()).unwrap();
        let group = std::net::SocketAddrV4::new("224.0.0.18".parse().unwrap(), 0);
        for ttl in [255, 64] {
            sockopt::set_ip_multicast_ttl(&socket, ttl).unwrap();
            for _ in 0..1000 {
                for message in messages {
                    rustix::net::sendto(&socket, message, rustix::net::SendFlags::empty(), &group).unwrap();
                }
            }
        }
    });
    first.wait_after(seen, "TTL was not 255");
    let status = first.router();
    assert_eq!((&status["state"], &status["became_active_total"]), (&"active".into(), &1.into()));
    let refused = &status["refused_total"];
    for kind in ["checksum", "version", "truncated", "hop-limit"] {
        assert!(refused[kind].as_u64().unwrap() > 0, "{refused}");
        // Nothing of the other router got as far as this.
        assert_eq!(refused["other-router"], serde_json::Value::Null);
    }
    let lines = first.program.lines();
    let told = lines[seen..].iter().filter(|line| line.contains("was dropped")).count();
    assert_eq!(told, 4, "{lines:#?}");
    first.stop();
    assert!(first.program.wait_for_end_of_output(BOUND).iter().all(|line| !line.contains("panicked")));
}
