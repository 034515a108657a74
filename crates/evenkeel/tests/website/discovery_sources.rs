//! Documents over HTTPS, and files whose changes the kernel tells.

use std::fs;
use std::net::SocketAddr;

use evenkeel_testkit::{Authority, Nginx, ToyServer, free_address, free_port, needs, temp_dir};
use serde_json::Value;

use crate::site::{Site, replace};

/// A site before a pool whose servers come from here.
fn text(address: SocketAddr, from: &str) -> String {
    format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\n[listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
         [pool.website]\nservers-from = {{ {from} }}\n"
    )
}

fn names(status: &Value) -> Vec<&str> {
    let servers = status["traffic"]["pools"][0]["servers"].as_array().into_iter().flatten();
    servers.map(|server| server["name"].as_str().unwrap()).collect()
}

#[test]
fn a_document_over_https_counts_only_when_its_host_is_verified() {
    if !needs("nginx") || !needs("openssl") {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.issue("registry", &["localhost"]);
    let [port, wrong] = [free_port(), free_port()];
    let elsewhere = authority.issue("elsewhere", &["elsewhere.test"]);
    let server = |port: u16, issued: &evenkeel_testkit::Issued, name: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 \"192.0.2.1:80 name={name}\\n\"; }} }}",
            issued.certificate.display(),
            issued.key.display()
        )
    };
    let both = server(port, &issued, "one") + &server(wrong, &elsewhere, "two");
    let _nginx = Nginx::start_with("plain", free_port(), &both);
    let from = |port: u16, ca: &Authority| {
        format!("http = \"https://localhost:{port}/\", interval = \"100ms\", ca = \"{}\"", ca.ca().display())
    };
    let address = free_address();
    let good = text(address, &from(port, &authority));
    let site = Site::of(&good, &[]);
    site.wait_until(|status| names(status) == ["one"]);
    // Another authority, and a certificate for another name: what was found stays.
    for (bad, why) in [
        (replace(&good, &from(port, &authority), &from(port, &other)), "authorit"),
        (replace(&good, &from(port, &authority), &from(wrong, &authority)), "localhost"),
    ] {
        site.reload(&bad);
        site.wait_until(|status| {
            status["sources"][0]["problem"].as_str().is_some_and(|problem| problem.contains(why))
        });
        assert_eq!(names(&site.status()), ["one"]);
        site.reload(&good);
        site.wait_until(|status| status["sources"][0]["problem"].is_null());
    }
    // As with the TLS of pools: when the file of authorities cannot be read, those of before stay, and that is told.
    site.write(&replace(&good, "ca.pem", "nobody.pem"));
    let reloaded = site.command(&["reload"]);
    let told = String::from_utf8_lossy(&reloaded.stderr).into_owned();
    assert!(told.contains("nobody.pem cannot be read") && told.contains("stays in force"), "{reloaded:?}");
    assert_eq!(names(&site.status()), ["one"]);
}

#[test]
fn a_change_of_a_file_is_noticed_long_before_the_interval_is_over() {
    let servers = ["a", "b"].map(ToyServer::named);
    let line = |index: usize| format!("{} name={}\n", servers[index].address(), ["a", "b"][index]);
    let directory = temp_dir();
    let file = directory.path().join("servers");
    fs::write(&file, line(0)).unwrap();
    let from = format!("file = \"{}\", interval = \"1h\"", file.display());
    let site = Site::of(&text(free_address(), &from), &[]);
    site.wait_until(|status| names(status) == ["a"]);
    fs::write(&file, line(0) + &line(1)).unwrap();
    site.wait_until(|status| names(status) == ["a", "b"]);
    // Replaced, as editors and tools do it.
    let new = directory.path().join("new");
    fs::write(&new, line(1)).unwrap();
    fs::rename(&new, &file).unwrap();
    site.wait_until(|status| names(status) == ["b"]);
}
