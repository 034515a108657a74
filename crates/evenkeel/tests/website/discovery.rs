//! Servers that are found: names that change, files that are rewritten, sources that fail, and what clients notice.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use evenkeel_testkit::{
    HttpClient, Load, NameServer, Nginx, Saying, ToyServer, free_address, free_port, needs, temp_dir,
};
use serde_json::Value;

use crate::site::{LOAD, Site, of_listener, of_server, url};

const CHECKED: &str = "health = { http = \"/\", interval = \"1s\", fast-interval = \"50ms\" }";

/// A site before a pool with these lines, which asks this name server.
fn text(address: SocketAddr, names: Option<&NameServer>, pool: &str) -> String {
    let resolver = names.map_or_else(String::new, |names| {
        format!(
            "[resolver]\nnameservers = \"{}\"\ntimeout = \"300ms\"\nmin-ttl = \"100ms\"\n",
            names.address()
        )
    });
    format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\nstate-dir = \"${{STATE}}\"\n{resolver}\
         [listener.website]\nbind = \"{address}\"\npool = \"website\"\n[pool.website]\n{pool}\n"
    )
}

fn start(text: &str, state: &Path) -> Site {
    Site::of(text, &[("STATE", state.join("state").display().to_string())])
}

/// Names and states of all servers.
fn servers(status: &Value) -> Vec<(String, String)> {
    let pools = status["traffic"]["pools"].as_array().into_iter().flatten();
    pools
        .flat_map(|pool| pool["servers"].as_array().unwrap())
        .map(|server| {
            (server["name"].as_str().unwrap().to_owned(), server["state"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn are(status: &Value, expected: &[(&str, &str)]) -> bool {
    let told = servers(status);
    told.len() == expected.len() && told.iter().zip(expected).all(|((a, b), (c, d))| a == c && b == d)
}

fn problem(status: &Value) -> Option<&str> {
    status["sources"][0]["problem"].as_str()
}

fn answers(address: SocketAddr) -> u16 {
    HttpClient::connect(address).unwrap().get("/").unwrap().status
}

#[test]
fn addresses_of_a_name_come_and_go_under_load_without_a_failed_request() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let port = free_port();
    let everywhere = format!(
        "keepalive_timeout 60s; keepalive_requests 1000000;\n\
         server {{ listen 0.0.0.0:{port} backlog=4096; location / {{ return 200 \"x\"; }} }}"
    );
    let _nginx = Nginx::start_with("s", free_port(), &everywhere);
    let names = NameServer::start();
    names.points("app.test", &["127.1.0.1", "127.1.0.2"], 0);
    let (address, state) = (free_address(), temp_dir());
    let pool = format!("{CHECKED}\nservers-from = {{ dns = \"app.test:{port}\" }}");
    let site = start(&text(address, Some(&names), &pool), state.path());
    let name = |last: u8| format!("127.1.0.{last}-{port}");
    site.wait_until(|status| are(status, &[(&name(1), "up"), (&name(2), "up")]));
    let load = Load::start(&url(address, "/"), 16, LOAD);
    site.wait_until(|status| of_listener(status, "website", "requests_total") > 100);
    for last in 3..13 {
        let (gone, stays, new) = (last - 2, last - 1, last);
        names.points("app.test", &[&format!("127.1.0.{stays}"), &format!("127.1.0.{new}")], 0);
        site.wait_until(|status| {
            are(status, &[(&name(stays), "up"), (&name(new), "up")])
                && of_server(status, &name(new), "total") > 0
        });
        assert_eq!(of_server(&site.status(), &name(gone), "total"), 0, "it is not there any more");
    }
    let report = load.stop();
    assert_eq!(report.errors.total(), 0, "{report:?}");
    println!("10 of 12 addresses replaced: {} requests, 0 failed", report.requests);
    assert!(site.status()["sources"][0]["changes_total"].as_u64().unwrap() >= 11);
}

#[test]
fn a_start_does_not_need_dns_and_what_was_found_outlives_everything() {
    let server = ToyServer::named("a");
    let port = server.address().port();
    let names = NameServer::start();
    names.says("app.test", Saying::Silence);
    let (address, state) = (free_address(), temp_dir());
    let pool = format!("[pool.website.servers]\napp = \"app.test:{port}\"");
    let text = text(address, Some(&names), &pool);
    let name = format!("app-127.0.0.1-{port}");
    {
        // Nobody answers, and yet it is ready.
        let site = start(&text, state.path());
        assert_eq!(answers(address), 503);
        site.wait_until(|status| problem(status).is_some_and(|why| why.contains("no answer in time")));
        names.points("app.test", &["127.0.0.1"], 0);
        site.wait_until(|status| are(status, &[(&name, "up")]) && problem(status).is_none());
        assert_eq!(answers(address), 200);
        // A name that is gone or broken, and a role that dies: the last good answer stays.
        for saying in [Some(Saying::Failure), None] {
            match saying {
                Some(saying) => names.says("app.test", saying),
                None => names.forgets("app.test"),
            }
            site.wait_until(|status| problem(status).is_some());
            assert_eq!(answers(address), 200);
        }
        let seen = site.program.lines().len();
        site.kill9("proxy");
        site.program.wait_for_line_after(
            seen,
            |line| line.contains("proxy role has ended"),
            evenkeel_testkit::BOUND,
        );
        site.wait_until(|status| are(status, &[(&name, "up")]));
        assert_eq!(answers(address), 200);
        let kept = state.path().join("state/found-servers");
        site.wait_until(|_| fs::read_to_string(&kept).is_ok_and(|text| text.contains("127.0.0.1")));
    }
    let site = start(&text, state.path());
    assert_eq!(answers(address), 200);
    site.wait_until(|status| problem(status).is_some_and(|why| why.contains("NXDOMAIN")));
    let screen = String::from_utf8(site.command(&["status"]).stdout).unwrap();
    assert!(screen.contains("SOURCES") && screen.contains("dns app.test:"), "{screen}");
}

#[test]
fn a_file_is_followed_and_a_damaged_or_empty_one_changes_nothing() {
    let servers = ["a", "b"].map(ToyServer::named);
    let at = |index: usize| servers[index].address();
    let (address, state) = (free_address(), temp_dir());
    let file = state.path().join("servers");
    fs::write(&file, format!("{} name=a\n", at(0))).unwrap();
    let pool = format!("servers-from = {{ file = \"{}\", interval = \"100ms\" }}", file.display());
    let site = start(&text(address, None, &pool), state.path());
    site.wait_until(|status| are(status, &[("a", "up")]));
    fs::write(
        &file,
        format!("[{{\"name\": \"a\", \"address\": \"{}\", \"weight\": 5}}, \"{}\"]", at(0), at(1)),
    )
    .unwrap();
    let second = format!("127.0.0.1-{}", at(1).port());
    site.wait_until(|status| {
        are(status, &[("a", "up"), (&second, "up")]) && of_server(status, "a", "weight") == 5
    });
    for (broken, why) in
        [("[\"127.0.0.1:80\"", "no JSON"), ("[]", "no server any more"), ("127.0.0.1:8", "cut off")]
    {
        fs::write(&file, broken).unwrap();
        site.wait_until(|status| problem(status).is_some_and(|problem| problem.contains(why)));
        assert!(are(&site.status(), &[("a", "up"), (&second, "up")]));
    }
    site.program.wait_for_line(
        |line| line.contains("ERROR") && line.contains("the 2 servers that were found last stay"),
        evenkeel_testkit::BOUND,
    );
    // A server that was found can be steered as any other, and is not written into the file.
    let drained = site.command(&["server", "drain", "website/a"]);
    assert!(drained.status.success(), "{drained:?}");
    site.wait_until(|status| are(status, &[("a", "drain"), (&second, "up")]));
    let saved = site.command(&["config", "save"]);
    assert!(saved.status.success(), "{saved:?}");
    fs::write(&file, format!("{} name=a\n", at(0))).unwrap();
    site.wait_until(|status| are(status, &[("a", "drain")]) && problem(status).is_none());
    // A reload that takes the source away takes its servers along.
    let diff = String::from_utf8(site.command(&["diff"]).stdout).unwrap();
    assert!(!diff.contains("server a removed"), "{diff}");
    site.reload(&text(address, None, &format!("servers = {{ own = \"{}\" }}", at(1))));
    site.wait_until(|status| {
        are(status, &[("own", "up")]) && status["sources"].as_array().unwrap().is_empty()
    });
}

#[test]
fn a_server_that_is_not_named_any_more_finishes_what_it_does() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let patient = ToyServer::start(move |mut connection| {
        while connection.read_head().is_ok() {
            let _told = wait.lock().unwrap().recv();
            if connection.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npatient").is_err() {
                return;
            }
        }
    });
    let other = ToyServer::named("other");
    let (address, state) = (free_address(), temp_dir());
    let file = state.path().join("servers");
    fs::write(&file, format!("{} name=patient\n", patient.address())).unwrap();
    let pool = format!("servers-from = {{ file = \"{}\", interval = \"100ms\" }}", file.display());
    let site = start(&text(address, None, &pool), state.path());
    site.wait_until(|status| are(status, &[("patient", "up")]));
    let mut client = HttpClient::connect(address).unwrap();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    site.wait_until(|status| of_server(status, "patient", "running") == 1);
    fs::write(&file, format!("{} name=other\n", other.address())).unwrap();
    site.wait_until(|status| are(status, &[("other", "up"), ("patient", "drain")]));
    assert_eq!(HttpClient::connect(address).unwrap().get("/").unwrap().text(), "other");
    go.send(()).unwrap();
    assert_eq!(client.response().unwrap().text(), "patient");
    site.wait_until(|status| are(status, &[("other", "up")]));
}
