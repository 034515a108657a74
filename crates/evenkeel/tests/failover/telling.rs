//! Whoever is told of changes of state, and providers: real programs and a web address that fails, in namespaces.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use evenkeel_testkit::lab::Silence;
use evenkeel_testkit::{BOUND, ToyServer, temp_dir};
use serde_json::Value;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// A program of these lines.
fn program(directory: &Path, lines: &str) -> PathBuf {
    let path = directory.join("program");
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// The lines of a file once they are as wanted.
fn lines(path: &Path, are_enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if are_enough(&lines) {
            return lines;
        }
        assert!(begun.elapsed() < BOUND, "{lines:#?}");
        std::thread::yield_now();
    }
}

fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "it did not become so");
    }
}

fn last_is(wanted: &str) -> impl Fn(&[String]) -> bool {
    move |lines| lines.last().is_some_and(|line| line.contains(wanted))
}

#[test]
fn a_script_that_fails_is_told_every_state_in_order_until_the_end() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let told = directory.path().join("told");
    // The first attempt fails after it was told.
    let script = program(
        directory.path(),
        &format!(
            "cat >> {told:?}; test $EVENKEEL_ROUTER = public; test -e {told:?}.2 || {{ : > {told:?}.2; exit 3; }}"
        ),
    );
    let notify = format!("notify = [{{ script = {script:?}, user = \"root\" }}]");
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, &notify));
    on_first.wait_until(ip(ADDRESS), true);
    first.wait_for("cannot be told: it ended with exit code 3; it is tried again");
    lines(&told, last_is("\"to\":\"active\""));
    eventually(|| first.router()["notify"][0]["waiting"] == 0);
    let snapshot = first.router()["notify"][0].clone();
    assert_eq!((&snapshot["failed_total"], &snapshot["dropped_total"]), (&1.into(), &0.into()));
    first.stop();
    let told = lines(&told, last_is("\"to\":\"stopped\""));
    let told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told[0], told[1]);
    for two in told[1..].windows(2) {
        assert!(two[0]["sequence"].as_u64() < two[1]["sequence"].as_u64(), "{two:?}");
        assert_eq!(two[0]["to"], two[1]["from"]);
    }
    let active = told.iter().find(|notice| notice["to"] == "active").unwrap();
    assert_eq!((&active["event"], &active["priority"]), (&"transition".into(), &150.into()));
    assert_eq!((&active["addresses"][0], &active["peer"]), (&"10.99.0.50/24".into(), &Value::Null));
    assert!(!active["why"].as_str().unwrap().is_empty());
}

#[test]
fn a_web_address_that_refuses_and_hangs_gets_every_state_in_order_and_holds_nobody_up() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let token = directory.path().join("token");
    fs::write(&token, "a-token-that-nobody-knows\n").unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    static BODIES: Mutex<Vec<Value>> = Mutex::new(Vec::new());
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let _server = pair.first.inside(|| {
        ToyServer::start_on("127.0.0.1:8099".parse().unwrap(), |mut connection| {
            let head = connection.read_head().unwrap();
            let lower = head.to_lowercase();
            assert!(lower.starts_with("post /hook?key=hidden http/1.1"), "{head}");
            assert!(lower.contains("authorization: bearer a-token-that-nobody-knows\r\n"), "{head}");
            let length = lower.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
            let body = connection.read_exact(length.parse().unwrap()).unwrap();
            match CALLS.fetch_add(1, Ordering::SeqCst) {
                0 => drop(connection.write("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")),
                // Nothing is said until the other side has had enough.
                1 => drop(connection.read_to_end()),
                _ => {
                    BODIES.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    let _ = connection.write("HTTP/1.1 204 Thanks\r\n\r\n");
                }
            }
        })
    });
    let notify = format!(
        "notify = [{{ webhook = \"http://127.0.0.1:8099/hook?key=hidden\", token-file = {token:?}, timeout = \"300ms\" }}]"
    );
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, &notify));
    on_first.wait_until(ip(ADDRESS), true);
    first.wait_for("webhook http://127.0.0.1:8099 cannot be told: it answered 503; it is tried again");
    first.wait_for("webhook http://127.0.0.1:8099 is told again");
    let last = || BODIES.lock().unwrap().last().cloned().unwrap_or_default();
    eventually(|| last()["to"] == "active");
    eventually(|| first.router()["notify"][0]["waiting"] == 0);
    assert_eq!(first.router()["notify"][0]["failed_total"], 2);
    first.stop();
    assert_eq!(last()["to"], "stopped");
    let bodies = BODIES.lock().unwrap();
    assert!(bodies.windows(2).all(|two| two[0]["to"] == two[1]["from"]), "{bodies:#?}");
    let log = first.program.lines().join("\n");
    assert!(!log.contains("hidden") && !log.contains("nobody-knows"), "{log}");
}

#[test]
fn a_provider_is_called_until_it_confirms_and_the_election_does_not_wait_for_it() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let (calls, broken) = (directory.path().join("calls"), directory.path().join("broken"));
    fs::write(&broken, "").unwrap();
    let exec = program(
        directory.path(),
        &format!("echo \"$@\" >> {calls:?}\nif test -e {broken:?}; then echo no API today; exit 1; fi"),
    );
    let provider =
        format!("provider = {{ exec = [{exec:?}, \"--zone\", \"eu\"], user = \"root\", verify = \"1s\" }}");
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, &provider));
    on_first.wait_until(ip(ADDRESS), true);
    first.wait_for("and failed: it ended with exit code 1: no API today; it is called again");
    eventually(|| first.router()["provider"]["wanted"] == "own");
    let snapshot = first.router();
    assert_eq!((&snapshot["state"], &snapshot["provider"]["confirmed"]), (&"active".into(), &Value::Null));
    let kinds: Vec<&Value> =
        snapshot["alarms"].as_array().unwrap().iter().map(|alarm| &alarm["kind"]).collect();
    assert_eq!(kinds, [&Value::from("provider-failed")]);
    fs::remove_file(&broken).unwrap();
    eventually(|| first.router()["provider"]["confirmed"] == "own");
    assert!(first.router()["alarms"].as_array().unwrap().is_empty());
    // Once more and without a reason: others may have undone it.
    let before = first.router()["provider"]["confirmed_total"].as_u64();
    eventually(|| first.router()["provider"]["confirmed_total"].as_u64() > before);
    first.stop();
    let calls = lines(&calls, last_is("release"));
    assert_eq!(calls.last().unwrap(), "--zone eu release 10.99.0.50/24");
    assert!(calls.iter().any(|call| call == "--zone eu own 10.99.0.50/24"), "{calls:?}");
}

#[test]
fn who_stays_after_both_were_active_says_so_and_calls_its_provider_again() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let (calls, told) = (directory.path().join("calls"), directory.path().join("told"));
    // One program for both: only a notice has an event.
    let both = program(
        directory.path(),
        &format!("if test \"$EVENKEEL_EVENT\"; then cat >> {told:?}; else echo $1 >> {calls:?}; fi"),
    );
    let more = format!(
        "provider = {{ exec = {both:?}, user = \"root\", verify = \"0s\" }}\n\
         notify = [{{ script = {both:?}, user = \"root\" }}]"
    );
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &router(150, &more));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    let owned = |lines: &[String]| lines.iter().filter(|line| *line == "own").count();
    let before = owned(&lines(&calls, last_is("own")));
    pair.first_cable.silence(Silence::Both);
    on_second.wait_until(ip(ADDRESS), true);
    pair.first_cable.heal();
    on_second.wait_until(ip(ADDRESS), false);
    let told = lines(&told, last_is("\"event\":\"reasserted\""));
    let notice: Value = serde_json::from_str(told.last().unwrap()).unwrap();
    assert_eq!((&notice["to"], &notice["peer"]), (&"active".into(), &"10.99.0.2".into()));
    lines(&calls, |lines| owned(lines) > before);
    let events = String::from_utf8(first.command(&["events"]).stdout).unwrap();
    assert!(
        events.contains("reasserted public: is active still: another router was active as well"),
        "{events}"
    );
    assert!(events.contains("virtual-router-changed public: active (was "), "{events}");
}

#[test]
fn a_replaced_provider_is_not_called_any_more_and_the_new_one_hears_where_it_is() {
    let Some(pair) = Pair::start() else { return };
    let (old, new) = (temp_dir(), temp_dir());
    let calls = old.path().join("calls");
    let failing = program(old.path(), &format!("echo \"$@\" >> {calls:?}; exit 1"));
    let heard = new.path().join("calls");
    let working = program(new.path(), &format!("echo $EVENKEEL_VRID \"$@\" >> {heard:?}"));
    let with = |exec: &Path| {
        router(150, &format!("provider = {{ exec = [{exec:?}], user = \"root\", verify = \"1s\" }}"))
    };
    let first = Node::start(&pair.first, &with(&failing));
    first.wait_for("and failed: it ended with exit code 1; it is called again");
    first.reload(&with(&working));
    lines(&heard, last_is("51 own 10.99.0.50/24"));
    let before = lines(&calls, |_| true).len();
    // Longer than the first one would have waited before its next tries.
    lines(&heard, |heard| heard.len() >= 4);
    // One call may have been under way.
    assert!(lines(&calls, |_| true).len() <= before + 1);
    first.reload(&with(&working).replace("vrid = 51", "vrid = 52"));
    lines(&heard, last_is("52 own 10.99.0.50/24"));
}
