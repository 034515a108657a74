//! A real server dies under the running program and comes back.

use evenkeel_testkit::{HttpClient, Nginx, free_address, free_port, needs};

use crate::site::{Site, text};

#[test]
fn a_killed_nginx_is_left_out_with_its_reason_and_comes_back_by_itself() {
    if !needs("nginx") {
        return;
    }
    let mut first = Nginx::start("webserver01", free_port());
    let second = Nginx::start("webserver02", free_port());
    let address = free_address();
    let site = Site::start(&format!(
        "[listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
         [pool.website]\nhealth = {{ http = \"/healthz\", interval = \"50ms\", fall = 2 }}\n\
         [pool.website.servers]\nwebserver01 = \"{}\"\nwebserver02 = \"{}\"\n",
        first.address(),
        second.address()
    ));
    let mut client = HttpClient::connect(address).unwrap();
    let mut answers =
        |count: usize| -> Vec<String> { (0..count).map(|_| client.get("/").unwrap().text()).collect() };
    assert!(answers(4).contains(&"webserver01".to_owned()));
    let seen = site.seen();
    first.kill9();
    let seen = site.wait_for(seen, "pool website: server webserver01 is down: ");
    let status = text(&site.command(&["status"]));
    let line = status.lines().find(|line| line.contains("webserver01")).unwrap();
    assert!(line.contains(" down ") && line.contains(": cannot connect to 127.0.0.1:"), "{status}");
    assert_eq!(answers(6), ["webserver02"; 6]);
    // A reload of something else leaves the checks and what they found alone.
    let config = std::fs::read_to_string(site.path("evenkeel.toml")).unwrap();
    std::fs::write(
        site.path("evenkeel.toml"),
        config.replace("[pool.website]\n", "[pool.website]\nretries = 1\n"),
    )
    .unwrap();
    assert!(site.command(&["reload"]).status.success());
    assert_eq!(site.status()["traffic"]["pools"][0]["servers"][0]["state"], "down");
    first.restart();
    site.wait_for(seen, "pool website: server webserver01 is up: 2 checks in a row passed");
    assert!(answers(4).contains(&"webserver01".to_owned()));
    assert_eq!(site.status()["traffic"]["pools"][0]["servers"][0]["state"], "up");
}
