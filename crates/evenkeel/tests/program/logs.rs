//! Access log files in the hands of the supervisor.

use std::fs;

use evenkeel_testkit::{BOUND, HttpClient, Program, Signal, ToyServer, free_address, temp_dir};

use crate::site::{Site, errors, evenkeel};

fn logged(bind: std::net::SocketAddr, server: &ToyServer, log: &std::path::Path) -> String {
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\naccess-log = {{ to = \"{}\" }}\n\
         [pool.website.servers]\nweb = \"{}\"\n",
        log.display(),
        server.address()
    )
}

/// Waits until the file has a line with this text.
fn wait_for(path: &std::path::Path, text: &str) {
    let end = std::time::Instant::now() + BOUND;
    while !fs::read_to_string(path).is_ok_and(|lines| lines.contains(text)) {
        assert!(std::time::Instant::now() < end, "{} never has {text}", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_log_that_was_moved_away_is_left_at_a_hangup_even_when_the_configuration_is_broken() {
    let (server, address, directory) = (ToyServer::named("a"), free_address(), temp_dir());
    let (log, moved) = (directory.path().join("a.log"), directory.path().join("a.log.1"));
    let site = Site::start(&logged(address, &server, &log));
    let get = |target: &str| HttpClient::connect(address).unwrap().get(target).unwrap().status;
    assert_eq!(get("/first"), 200);
    wait_for(&log, "\"/first\"");
    for (target, configuration, outcome) in [
        ("/second", logged(address, &server, &log), "reload done"),
        ("/third", "nonsense".to_owned(), "reload refused"),
    ] {
        fs::rename(&log, &moved).unwrap();
        site.write(&configuration);
        let seen = site.seen();
        site.program.signal(Signal::HUP);
        site.wait_for(seen, outcome);
        // The status comes from the proxy role, after what it was told before.
        site.status();
        assert_eq!(get(target), 200);
        wait_for(&log, target);
        assert!(!fs::read_to_string(&moved).unwrap().contains(target));
    }
}

#[test]
fn a_role_that_is_started_again_goes_on_with_the_log() {
    let (server, address, directory) = (ToyServer::named("a"), free_address(), temp_dir());
    let log = directory.path().join("a.log");
    let site = Site::start(&logged(address, &server, &log));
    let seen = site.seen();
    let pid = site.role("proxy").try_into().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    site.wait_for(seen, "the proxy role is back");
    assert_eq!(HttpClient::connect(address).unwrap().get("/after").unwrap().status, 200);
    wait_for(&log, "\"/after\"");
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start_and_the_reload() {
    let (server, address, directory) = (ToyServer::named("a"), free_address(), temp_dir());
    let missing = directory.path().join("none/a.log");
    let config = directory.path().join("evenkeel.toml");
    let socket = format!("[global]\ncontrol-socket = \"{}\"\n", directory.path().join("c.sock").display());
    fs::write(&config, socket + &logged(address, &server, &missing)).unwrap();
    let program = Program::start(evenkeel().arg("run").arg("-c").arg(&config));
    assert_eq!(program.wait(BOUND), 2);
    let lines = program.wait_for_end_of_output(BOUND);
    assert!(
        lines.iter().any(|line| line.contains("none/a.log") && line.contains("create its directory")),
        "{lines:?}"
    );

    let site = Site::start(&logged(address, &server, &directory.path().join("a.log")));
    site.write(&logged(address, &server, &missing));
    let output = site.command(&["reload"]);
    assert!(!output.status.success());
    assert!(errors(&output).contains("create its directory"), "{}", errors(&output));
    assert_eq!(HttpClient::connect(address).unwrap().get("/").unwrap().status, 200);
}
