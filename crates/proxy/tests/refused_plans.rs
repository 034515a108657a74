//! A plan that cannot be put in force changes nothing, at whichever step that shows.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use common::{Balancer, website};
use evenkeel_testkit::{HttpClient, ToyServer, free_address};
use evenkeel_traffic::address::Address;

#[test]
fn a_listening_socket_that_cannot_be_used_leaves_everything_as_it_was() {
    let servers = [ToyServer::named("old"), ToyServer::named("new")];
    let addresses = [servers[0].address(), servers[1].address()];
    let mut balancer = Balancer::start(&website(1, "", ""), &addresses);
    let mut kept = balancer.client();
    assert_eq!(kept.get("/").unwrap().text(), "old");
    let revision = balancer.snapshot().revision;

    let [good, bad] = [free_address(), free_address()];
    // The listener moves away, its server changes, a log begins, and one of two new sockets is no socket at all.
    let other = format!(
        "[listener.web]\nbind = [\"{good}\", \"{bad}\"]\npool = \"web\"\naccess-log = {{ to = \"stdout\" }}\n\
         [pool.web.servers]\ns1 = \"${{S1}}\"\n"
    );
    let no_sockets = || (0..2).map(|_| OwnedFd::from(File::open("/dev/null").unwrap())).collect();
    let sockets = BTreeMap::from([
        (Address::Tcp(good), evenkeel_sys::socket::listen_tcp(good, 2, &[]).unwrap()),
        (Address::Tcp(bad), no_sockets()),
    ]);
    let why = balancer.apply_refused(&other, sockets);
    assert!(why.contains(&format!("a worker cannot use the listening socket {bad}")), "{why}");

    assert_eq!(kept.get("/").unwrap().text(), "old");
    assert_eq!(balancer.client().get("/").unwrap().text(), "old");
    let snapshot = balancer.snapshot();
    assert_eq!((snapshot.revision, snapshot.logs.len()), (revision, 0));
    assert_eq!(snapshot.listeners[0].binds, [Address::Tcp(balancer.address())]);
    // What was opened for it is closed again, here at the latest with the next plan.
    balancer.apply(&website(1, "", "retries = 1"));
    assert!(HttpClient::connect(good).is_err());
    assert_eq!(kept.get("/").unwrap().text(), "old");
}

#[test]
fn a_bind_without_sockets_is_refused_and_so_is_a_number_of_sockets_that_is_not_that_of_the_workers() {
    let server = ToyServer::named("one");
    let mut balancer = common::before(&server);
    let address = free_address();
    let moved = website(1, "", "").replace("${BIND}", &address.to_string());
    assert!(balancer.apply_refused(&moved, BTreeMap::new()).contains("no socket was given"));
    let three = evenkeel_sys::socket::listen_tcp(address, 3, &[]).unwrap();
    let why = balancer.apply_refused(&moved, BTreeMap::from([(Address::Tcp(address), three)]));
    assert!(why.contains("the number of sockets is not the number of workers"), "{why}");
    assert_eq!(balancer.client().get("/").unwrap().text(), "one");
}
