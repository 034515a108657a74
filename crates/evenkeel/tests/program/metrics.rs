//! What a scraper of the running program reads.

use evenkeel_testkit::{BOUND, HttpClient, ToyServer, free_address};

use crate::site::Site;

#[test]
fn a_scraper_finds_the_requests_of_the_clients() {
    let (server, address, refusing, admin) =
        (ToyServer::named("a"), free_address(), free_address(), free_address());
    let site = Site::start(&format!(
        "[admin]\nbind = \"{admin}\"\n[listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
         [listener.nowhere]\nbind = \"{refusing}\"\n\
         [[listener.nowhere.route]]\npath-prefix = \"/a\"\npool = \"website\"\n\
         [pool.website.servers]\nwebserver01 = \"{}\"\n",
        server.address()
    ));
    let scrape = || {
        let mut client = HttpClient::connect(admin).unwrap();
        client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let response = client.response().unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        response.text()
    };
    let zero = "evenkeel_listener_own_answers_total{listener=\"nowhere\",reason=\"no-route\"} 0";
    assert!(scrape().lines().any(|line| line == zero), "counts are there before anything happens");

    let mut client = HttpClient::connect(address).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for _ in 0..3 {
        client.send(request).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    assert_eq!(HttpClient::connect(refusing).unwrap().get("/").unwrap().status, 404);

    let expected = [
        "evenkeel_listener_requests_total{listener=\"website\"} 3",
        "evenkeel_listener_responses_total{listener=\"website\",class=\"2xx\"} 3",
        "evenkeel_listener_request_seconds_count{listener=\"website\"} 3",
        "evenkeel_listener_connections_total{listener=\"website\"} 1",
        &format!("evenkeel_listener_in_bytes_total{{listener=\"website\"}} {}", 3 * request.len()),
        "evenkeel_listener_responses_total{listener=\"nowhere\",class=\"4xx\"} 1",
        "evenkeel_listener_own_answers_total{listener=\"nowhere\",reason=\"no-route\"} 1",
        "evenkeel_pool_requests_total{pool=\"website\"} 3",
        "evenkeel_server_requests_total{pool=\"website\",server=\"webserver01\"} 3",
        "evenkeel_server_first_byte_seconds_count{pool=\"website\",server=\"webserver01\"} 3",
        "evenkeel_server_state{pool=\"website\",server=\"webserver01\",state=\"up\"} 1",
        "evenkeel_role_running{role=\"proxy\"} 1",
        concat!("evenkeel_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ];
    // A request is counted a moment after its client has the answer.
    let end = std::time::Instant::now() + BOUND;
    loop {
        let page = scrape();
        let missing: Vec<_> =
            expected.iter().filter(|line| !page.lines().any(|found| found == **line)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < end, "never seen: {missing:#?}\n{page}");
        std::thread::yield_now();
    }
    drop(site);
}
