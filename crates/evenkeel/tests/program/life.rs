//! Reloads, deaths and the end of the running program.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use crate::site::{Site, errors, text, website};
use evenkeel_sys::process;
use evenkeel_testkit::{BOUND, HttpClient, Signal, free_address, temp_dir};
use rustix::process::{Pid, kill_process};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// The inodes of the sockets that listen on an address.
fn inodes(address: SocketAddr) -> BTreeSet<String> {
    let port = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|columns| columns[1].ends_with(&port) && columns[3] == "0A")
        .map(|columns| columns[9].to_owned())
        .collect()
}

#[test]
fn hangup_puts_the_changed_file_in_force() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    let before = inodes(address);
    let seen = site.seen();
    site.write(&website(address, 7));
    site.program.signal(Signal::HUP);
    site.wait_for(seen, "reload done: 1 in force (plan 2)");
    let status = site.status();
    assert_eq!(status["traffic"]["pools"][0]["servers"][0]["weight"], 7);
    assert_eq!(status["traffic"]["revision"], 2);
    assert_eq!(status["last_reload"]["succeeded"], true);
    assert_eq!(inodes(address), before, "what is unchanged is not touched");
    assert_eq!(status["roles"][0]["restarts"], 0);
}

#[test]
fn a_reload_without_a_difference_is_fine() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    let output = site.command(&["reload"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output),
        format!("reloaded {}: nothing changed\n", site.path("evenkeel.toml").display())
    );
    assert_eq!(site.status()["revision"], 1);
}

#[test]
fn a_reload_with_an_error_changes_nothing_and_shows_it() {
    let site = Site::start(&website(free_address(), 1));
    let config = std::fs::read_to_string(site.path("evenkeel.toml")).unwrap();
    std::fs::write(site.path("evenkeel.toml"), config.replace("weight = 1", "wait = 1")).unwrap();
    let output = site.command(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("evenkeel.toml:8:"), "{output:?}");
    let output = site.command(&["reload", "--json"]);
    let problem: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(problem["status"], 422);
    assert_eq!(problem["report"]["problems"][0]["line"], 8);
    let status = site.status();
    assert_eq!((&status["revision"], &status["phase"]), (&1.into(), &"running".into()));
    assert_eq!(status["last_reload"]["succeeded"], false);
}

#[test]
fn a_reload_opens_new_addresses_and_closes_old_ones() {
    let (old, new) = (free_address(), free_address());
    let site = Site::start(&website(old, 1));
    site.write(&website(new, 1));
    assert!(text(&site.command(&["diff"])).contains(&new.to_string()));
    assert!(inodes(new).is_empty(), "a diff opens nothing");
    let output = site.command(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    TcpStream::connect(new).unwrap();
    // The workers close it one after the other, each after its queue is empty.
    let deadline = Instant::now() + BOUND;
    while !inodes(old).is_empty() {
        assert!(Instant::now() < deadline, "the old address is still listened on");
        std::thread::yield_now();
    }
    assert!(TcpStream::connect(old).is_err());
}

#[test]
fn a_reload_that_cannot_open_an_address_is_refused_as_a_whole() {
    let (old, free, taken) = (free_address(), free_address(), free_address());
    let _other = TcpListener::bind(taken).unwrap();
    let site = Site::start(&website(old, 1));
    site.write(
        &website(format!("{free}\", \"{taken}"), 5)
            .replace("bind = ", "bind = [")
            .replace("\"\npool", "\"]\npool"),
    );
    let output = site.command(&["reload"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(errors(&output).contains(&format!("cannot listen on {taken}: ")), "{output:?}");
    assert!(inodes(free).is_empty(), "what was opened is closed again");
    let status = site.status();
    assert_eq!(status["traffic"]["pools"][0]["servers"][0]["weight"], 1);
    TcpStream::connect(old).unwrap();
}

#[test]
fn what_needs_a_restart_is_said_and_stays_said() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    site.write(&format!("threads = 5\n{}", website(address, 1)));
    for _ in 0..2 {
        let output = site.command(&["reload"]);
        assert!(output.status.success(), "{output:?}");
        assert!(text(&output).contains("(needs a restart"), "{output:?}");
    }
    assert_eq!(site.status()["revision"], 1);
}

#[test]
fn a_killed_proxy_role_is_back_with_the_same_sockets_and_plan() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    site.write(&website(address, 3));
    assert!(site.command(&["reload"]).status.success());
    let before = inodes(address);
    assert!(!before.is_empty());
    let killed = site.role("proxy");
    let seen = site.seen();
    signal(killed, Signal::KILL);
    let seen =
        site.wait_for(seen, "the proxy role has ended: it was killed by signal 9; it is started again");
    // Nobody is turned away in between: the supervisor holds the sockets.
    TcpStream::connect(address).unwrap();
    site.wait_for(seen, "the proxy role is back");
    let status = site.status();
    let proxy = &status["roles"][0];
    assert_ne!(proxy["pid"], killed);
    assert_eq!((&proxy["restarts"], &proxy["state"]), (&1.into(), &"running".into()));
    assert_eq!(proxy["last_end"], "it was killed by signal 9");
    assert_eq!(status["traffic"]["pools"][0]["servers"][0]["weight"], 3);
    assert_eq!(inodes(address), before);
}

#[test]
fn a_killed_admin_role_is_back_on_the_same_control_socket() {
    let site = Site::start(&website(free_address(), 1));
    let seen = site.seen();
    signal(site.role("admin"), Signal::KILL);
    site.wait_for(seen, "the admin role has ended: it was killed by signal 9");
    // The socket stays, so a command just waits for the next admin role.
    let status = site.status();
    assert_eq!(status["roles"][1]["restarts"], 1);
    site.wait_for(seen, "the admin role is back");
}

#[test]
fn a_reload_does_not_wait_for_a_proxy_role_that_keeps_ending() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    let mut seen = site.seen();
    for pause in ["", " in 100 ms", " in 200 ms", " in 400 ms", " in 800 ms"] {
        signal(site.role("proxy"), Signal::KILL);
        seen = site.wait_for(seen, &format!("it is started again{pause}"));
        if pause != " in 800 ms" {
            seen = site.wait_for(seen, "the proxy role is back");
        }
    }
    assert_eq!(site.status()["roles"][0]["state"], "waiting");
    site.write(&website(address, 9));
    assert!(site.command(&["reload"]).status.success());
    site.wait_for(seen, "the proxy role is back");
    let status = site.status();
    assert_eq!(status["traffic"]["pools"][0]["servers"][0]["weight"], 9);
    assert_eq!((&status["revision"], &status["traffic"]["revision"]), (&2.into(), &2.into()));
}

#[test]
fn a_proxy_role_that_hangs_hides_neither_the_status_nor_the_end() {
    let site = Site::start(&website(free_address(), 1));
    signal(site.role("proxy"), Signal::STOP);
    let status = site.status();
    assert_eq!(status["traffic"], serde_json::Value::Null);
    assert_eq!(status["traffic_missing"], "it gave no answer within 2 s");
    let shown = text(&site.command(&["status"]));
    assert!(shown.contains("the proxy role cannot be asked: it gave no answer within 2 s"), "{shown}");
    let output = site.command(&["stop"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(site.program.wait(BOUND), 0);
    let lines = site.program.wait_for_end_of_output(BOUND);
    assert!(lines.iter().any(|line| line.contains("has not ended in time; it is killed")));
}

#[test]
fn roles_do_not_outlive_their_supervisor() {
    let site = Site::start(&website(free_address(), 1));
    let roles = ["proxy", "admin"].map(|name| process::watch(site.role(name)).unwrap());
    site.program.signal(Signal::KILL);
    for role in roles {
        assert!(role.wait(BOUND).unwrap());
    }
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let directory = temp_dir();
    let listener = directory.path().join("listener.sock");
    let site = Site::start(&website(format!("unix:{}", listener.display()), 1));
    let roles = ["proxy", "admin"].map(|name| process::watch(site.role(name)).unwrap());
    assert!(listener.exists());
    let output = site.command(&["stop"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output), format!("stopped: pid {}\n", site.program.id()));
    assert_eq!(site.program.wait(BOUND), 0);
    for role in roles {
        assert!(role.wait(std::time::Duration::ZERO).unwrap(), "it ends before the supervisor does");
    }
    assert!(!listener.exists() && !site.path("control.sock").exists());
}

#[test]
fn both_stop_signals_end_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::start(&website(free_address(), 1));
        site.program.signal(signal);
        assert_eq!(site.program.wait(BOUND), 0);
    }
}

#[test]
fn the_service_manager_is_told_each_step() {
    let directory = temp_dir();
    let path = directory.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let told = || {
        let mut bytes = [0; 4096];
        let count = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let site = Site::start_with(&website(free_address(), 1), |command, _| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert!(told().starts_with("READY=1"));
    site.program.signal(Signal::HUP);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(told().starts_with("READY=1"));
    site.program.signal(Signal::TERM);
    assert!(told().starts_with("STOPPING=1"));
    assert_eq!(site.program.wait(BOUND), 0);
}

#[test]
fn the_watchdog_is_fed() {
    let directory = temp_dir();
    let path = directory.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let _site = Site::start_with(&website(free_address(), 1), |command, _| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000");
    });
    let mut bytes = [0; 4096];
    loop {
        let count = manager.recv(&mut bytes).unwrap();
        if &bytes[..count] == b"WATCHDOG=1" {
            break;
        }
    }
}

#[test]
fn tcp_shows_and_does_not_steer() {
    let admin = free_address();
    let site = Site::start(&format!("[admin]\nbind = \"{admin}\"\n{}", website(free_address(), 1)));
    let ask = |request: &str| {
        let mut client = HttpClient::connect(admin).unwrap();
        client.send(request).unwrap();
        client.response().unwrap()
    };
    assert_eq!(ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    assert_eq!(ask("GET /v1/pools/website HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n").status, 200);
    assert_eq!(ask("POST /v1/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status, 403);
    assert_eq!(ask("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 403);
    assert_eq!(site.status()["phase"], "running");
}
