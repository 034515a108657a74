//! A real server dies under the running program and comes back.

use evenkeel_testkit::{HttpClient, Nginx, ToyServer, free_address, free_port, needs};

use crate::site::{Site, errors, evenkeel, text};

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
    // The check that was under way when it was killed may have been the first, which decides alone.
    let reasons =
        [": cannot connect to 127.0.0.1:", ": the connection broke ", ": the server ended the connection "];
    assert!(line.contains(" down ") && reasons.iter().any(|why| line.contains(why)), "{status}");
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
    let told = wait_for_event(&site, "server-up", "website/webserver01");
    assert!(told.contains("up: its check passes"), "{told}");
    let told = wait_for_event(&site, "server-down", "website/webserver01");
    assert!(reasons.iter().any(|why| told.contains(why)), "{told}");
}

/// The last event of this kind about this subject, once there is one.
fn wait_for_event(site: &Site, kind: &str, subject: &str) -> String {
    let end = std::time::Instant::now() + evenkeel_testkit::BOUND;
    loop {
        let all = text(&site.command(&["events", "--json"]));
        let kind = format!("\"kind\":\"{kind}\"");
        let is_it = |line: &&str| line.contains(&kind) && line.contains(&format!("\"{subject}\""));
        if let Some(line) = all.lines().rfind(is_it) {
            return line.to_owned();
        }
        assert!(std::time::Instant::now() < end, "never seen: {all}");
    }
}

#[test]
fn a_program_that_others_could_change_is_refused_and_one_that_is_safe_runs_without_rights() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let (address, server) = (free_address(), ToyServer::named("web"));
    let config = |health: &str| {
        format!(
            "[listener.website]\nbind = \"{address}\"\npool = \"website\"\n[pool.website]\nhealth = {health}\n\
             [pool.website.servers]\nwebserver01 = \"{}\"\n",
            server.address()
        )
    };
    let site = Site::start(&config("\"tcp\""));
    let program = site.path("check");
    std::fs::write(
        &program,
        "#!/bin/sh\necho \"I am $(id -u), without $(grep CapEff /proc/self/status)\"\nexit 1\n",
    )
    .unwrap();
    let exec = config(&format!("{{ exec = {program:?}, interval = \"50ms\", fall = 1 }}"));
    site.write(&exec);
    for (mode, why) in [(0o757, "is writable by others"), (0o644, "is not executable by ")] {
        set_permissions(&program, Permissions::from_mode(mode)).unwrap();
        let shown = format!("{} (mode {mode:04o}) {why}", program.display());
        let path = site.path("evenkeel.toml");
        let checked = evenkeel().arg("check").arg("-c").arg(path).output().unwrap();
        let told = errors(&checked);
        assert!(checked.status.code() == Some(1) && told.contains(&shown), "{told}");
        let reloaded = site.command(&["reload"]);
        assert!(!reloaded.status.success(), "a reload refuses it as well");
    }
    set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let seen = site.seen();
    assert!(site.command(&["reload"]).status.success());
    site.wait_for(seen, "ended with exit code 1: I am ");
    let status = site.status();
    let why = status["traffic"]["pools"][0]["servers"][0]["why"].as_str().unwrap();
    assert!(why.ends_with("without CapEff: 0000000000000000"), "{why}");
    let root = rustix::process::geteuid().is_root();
    assert!(!root || !why.contains("I am 0,"), "a role is never root: {why}");
}
