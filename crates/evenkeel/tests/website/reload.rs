//! Reloads under load: what stays is not touched, and no client notices.

use std::net::TcpListener;

use evenkeel_testkit::{
    HttpClient, Load, Nginx, ToyServer, WebSocket, free_address, free_port, needs, websocket_echo,
};

use crate::site::{LOAD, Site, example, fetch, inodes, of_listener, replace, url, website_variables};

/// Reloads that alternate under load.
const RELOADS: usize = 10;

#[test]
fn a_changed_weight_and_an_added_server_fail_no_request_and_keep_a_websocket() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let servers = ["webserver01", "webserver02", "webserver03"].map(|name| Nginx::start(name, free_port()));
    let chat = websocket_echo();
    let address = free_address();
    let variables = website_variables(address, [servers[0].address(), servers[1].address()]);
    let plain = example("website.toml")
        + &format!(
            "\n[[listener.website.route]]\npath-prefix = \"/chat\"\npool = \"chat\"\n\
             [pool.chat.servers]\nchat = \"{}\"\n",
            chat.address()
        );
    let first = "webserver01 = \"${WEBSERVER01:-192.168.1.2:80}\"";
    let heavy =
        replace(&plain, first, "webserver01 = { address = \"${WEBSERVER01:-192.168.1.2:80}\", weight = 3 }");
    let second = "webserver02 = \"${WEBSERVER02:-192.168.1.3:80}\"\n";
    let more = replace(&heavy, second, &format!("{second}webserver03 = \"{}\"\n", servers[2].address()));

    let site = Site::of(&plain, &variables);
    let mut websocket = WebSocket::connect(address, "/chat").unwrap();
    assert_eq!(websocket.echo("before").unwrap(), "before");
    let kept = Load::start(&url(address, "/"), 32, LOAD);
    let close = ["Connection: close"];
    let opened = Load::start_with(&url(address, "/"), 8, LOAD, &close);
    site.wait_until(|status| of_listener(status, "website", "requests_total") > 1000);
    for turn in 0..RELOADS {
        site.hang_up(if turn % 2 == 0 { &heavy } else { &plain });
        assert_eq!(websocket.echo("between").unwrap(), "between");
    }
    site.reload(&more);
    let at_once = of_listener(&site.status(), "website", "requests_total");
    site.wait_until(|status| of_listener(status, "website", "requests_total") > at_once + 1000);

    for (load, what) in [(kept, "kept"), (opened, "one a request")] {
        let report = load.stop();
        assert_eq!(report.errors.total(), 0, "connections {what}: {report:?}");
        println!("11 reloads, connections {what}: {} requests, 0 failed", report.requests);
    }
    assert_eq!(websocket.echo("after").unwrap(), "after");
    assert_eq!(site.status()["roles"][0]["restarts"], 0);

    // Weights 3, 1, 1: gains of (3 1 1), (1 2 2), (4 -2 3), (2 -1 4), (5 0 0) give a b a c a, again and again.
    let mut client = HttpClient::connect(address).unwrap();
    let names: Vec<String> = (0..300).map(|_| client.get("/").unwrap().text()).collect();
    let turn = ["webserver01", "webserver02", "webserver01", "webserver03", "webserver01"];
    let begins = (0..5).any(|begin| (0..300).all(|index| names[index] == turn[(begin + index) % 5]));
    assert!(begins, "{names:?}");
}

#[test]
fn listeners_come_move_and_go_without_touching_the_others() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let servers = ["webserver01", "webserver02"].map(|name| Nginx::start(name, free_port()));
    let [stays, old, new] = [free_address(), free_address(), free_address()];
    let chat = websocket_echo();
    let plain = format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\n\
         [listener.stays]\nbind = \"{stays}\"\npool = \"one\"\n\
         [[listener.stays.route]]\npath = \"/chat\"\npool = \"chat\"\n\
         [pool.chat.servers]\nchat = \"{}\"\n\
         [pool.one.servers]\nwebserver01 = \"{}\"\n[pool.two.servers]\nwebserver02 = \"{}\"\n",
        chat.address(),
        servers[0].address(),
        servers[1].address(),
    );
    let with = |bind| format!("{plain}[listener.moves]\nbind = \"{bind}\"\npool = \"two\"\n");
    let site = Site::of(&plain, &[]);
    let mut websocket = WebSocket::connect(stays, "/chat").unwrap();
    let load = Load::start(&url(stays, "/"), 32, LOAD);
    site.wait_until(|status| {
        of_listener(status, "stays", "requests_total") > 1000
            && of_listener(status, "stays", "connections") == 32 + 1
    });
    let opened = of_listener(&site.status(), "stays", "connections_total");
    let sockets = inodes(stays);

    site.reload(&with(old));
    assert_eq!(fetch(old, "/").unwrap(), "webserver02");
    site.hang_up(&with(new));
    assert_eq!(fetch(new, "/").unwrap(), "webserver02");
    assert!(inodes(old).is_empty() && HttpClient::connect(old).is_err());
    site.reload(&plain);
    assert!(inodes(new).is_empty() && HttpClient::connect(new).is_err());

    assert_eq!(inodes(stays), sockets);
    let at_once = of_listener(&site.status(), "stays", "requests_total");
    site.wait_until(|status| of_listener(status, "stays", "requests_total") > at_once + 1000);
    let report = load.stop();
    assert_eq!(report.errors.total(), 0, "{report:?}");
    assert_eq!(websocket.echo("after").unwrap(), "after");
    // Who loses a connection opens another: nobody did.
    assert_eq!(of_listener(&site.status(), "stays", "connections_total"), opened);
}

#[test]
fn an_address_goes_from_one_listener_to_another_without_a_failed_request() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let servers = ["webserver01", "webserver02"].map(|name| Nginx::start(name, free_port()));
    let address = free_address();
    let listener = |name: &str, pool: &str| {
        format!(
            "[global]\ncontrol-socket = \"${{CONTROL}}\"\n\
             [listener.{name}]\nbind = \"{address}\"\npool = \"{pool}\"\n\
             [pool.one.servers]\nwebserver01 = \"{}\"\n[pool.two.servers]\nwebserver02 = \"{}\"\n",
            servers[0].address(),
            servers[1].address(),
        )
    };
    let site = Site::of(&listener("before", "one"), &[]);
    let sockets = inodes(address);
    let kept = Load::start(&url(address, "/"), 16, LOAD);
    let close = ["Connection: close"];
    let opened = Load::start_with(&url(address, "/"), 8, LOAD, &close);
    site.wait_until(|status| of_listener(status, "before", "requests_total") > 1000);
    site.reload(&listener("after", "two"));
    assert_eq!(fetch(address, "/").unwrap(), "webserver02");
    site.wait_until(|status| of_listener(status, "after", "requests_total") > 1000);
    assert_eq!(inodes(address), sockets);
    for load in [kept, opened] {
        let report = load.stop();
        assert_eq!(report.errors.total(), 0, "{report:?}");
    }
}

#[test]
fn an_address_that_was_given_up_is_free_when_the_reload_is_done() {
    if !needs("wrk") {
        return;
    }
    let server = ToyServer::named("one");
    let [stays, comes] = [free_address(), free_address()];
    let without = format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\n[listener.stays]\nbind = \"{stays}\"\npool = \"one\"\n\
         [pool.one.servers]\none = \"{}\"\n",
        server.address()
    );
    let with = format!("{without}[listener.comes]\nbind = \"{comes}\"\npool = \"one\"\n");
    let site = Site::of(&without, &[]);
    // Workers that have a lot to do get round to closing later.
    let load = Load::start(&url(stays, "/"), 64, LOAD);
    site.wait_until(|status| of_listener(status, "stays", "requests_total") > 1000);
    for _ in 0..2 * RELOADS {
        site.reload(&with);
        assert_eq!(fetch(comes, "/").unwrap(), "one");
        site.reload(&without);
        TcpListener::bind(comes).unwrap();
    }
    assert_eq!(load.stop().errors.total(), 0);
}
