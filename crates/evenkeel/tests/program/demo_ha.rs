//! The demo of high availability, as a newcomer with root sees it. It makes namespaces without names, so nothing of it can
//! be in the way of anything else.

use std::path::{Path, PathBuf};
use std::process::Command;

use evenkeel_testkit::{BOUND, Program, Signal, TempDir, evenkeel, needs_root, skip, temp_dir};

/// A demo of its own temporary directory, once it has built its network; none where that cannot be.
fn demo(place: &TempDir) -> Option<Program> {
    if !needs_root() {
        return None;
    }
    let mut command = Command::new(evenkeel(env!("CARGO_BIN_EXE_evenkeel")));
    let program = Program::start(command.args(["demo", "--ha"]).env("TMPDIR", place.path()));
    let fits = |line: &str| line.starts_with("the website is up") || line.contains("the demo cannot go on");
    let line = program.wait_for_line(fits, BOUND);
    if line.contains("cannot go on") {
        skip(&line);
        return None;
    }
    Some(program)
}

fn left(place: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The processes that name a directory in their command line.
fn processes(directory: &Path) -> usize {
    let directory = directory.to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .ok()
            .map(|line| String::from_utf8_lossy(&line).into_owned())
    });
    lines.filter(|line| line.contains(directory)).count()
}

#[test]
fn it_fails_and_mends_everything_says_what_that_cost_and_leaves_nothing() {
    let place = temp_dir();
    let Some(demo) = demo(&place) else { return };
    for event in [
        "balancer01, which has the address, loses its power",
        "  balancer02 has the address: ",
        "balancer01 starts again, and has the higher priority",
        "  balancer01 has the address: ",
        "webserver01 is killed (kill -9)",
        "webserver01 is started again",
        "the cable of balancer01, which has the address, is cut",
        "  balancer02 has the address: ",
        "the cable is whole again",
        "  balancer01 has the address: ",
    ] {
        demo.wait_for_line(|line| line.starts_with(event), 2 * BOUND);
    }
    assert_eq!(demo.wait(2 * BOUND), 0);
    let lines = demo.wait_for_end_of_output(BOUND);
    let table = lines.iter().position(|line| line == "What it cost the client:").unwrap();
    let cost = |what: &str| lines[table..].iter().find(|line| line.trim_start().starts_with(what)).unwrap();
    // Without a picture there is nothing but lines.
    assert!(lines.iter().all(|line| !line.contains('\x1b')), "{lines:#?}");
    for what in ["balancer01 lost its power", "the cable of balancer01 was cut"] {
        assert!(cost(what).contains("outage ") && !cost(what).contains("no outage"), "{}", cost(what));
    }
    assert!(
        cost("webserver01 was killed").ends_with(" 0 requests failed"),
        "{}",
        cost("webserver01 was killed")
    );
    println!("{}", lines[table..].join("\n"));
    assert_eq!(left(place.path()), Vec::<PathBuf>::new());
    assert_eq!(processes(place.path()), 0);
}

#[test]
fn what_a_killed_one_leaves_the_next_one_removes_and_ctrl_c_leaves_nothing() {
    let place = temp_dir();
    let Some(first) = demo(&place) else { return };
    let before = left(place.path());
    assert_eq!(before.len(), 1);
    first.kill();
    let begun = std::time::Instant::now();
    while processes(place.path()) > 0 {
        assert!(begun.elapsed() < BOUND, "processes of a killed demo live on");
    }
    assert_eq!(left(place.path()), before);
    let Some(second) = demo(&place) else { return };
    assert!(!before[0].exists());
    second.signal(Signal::INT);
    second.wait_for_line(|line| line == "The demo was ended; nothing is left behind.", BOUND);
    assert_eq!(second.wait(BOUND), 0);
    assert_eq!((left(place.path()).len(), processes(place.path())), (0, 0));
}

#[test]
fn without_root_it_says_what_to_do() {
    if !needs_root() {
        return;
    }
    // The directory of a build may be closed to others.
    let place = temp_dir();
    let copy = place.path().join("evenkeel");
    std::fs::copy(evenkeel(env!("CARGO_BIN_EXE_evenkeel")), &copy).unwrap();
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    open(place.path());
    open(&copy);
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(["demo", "--ha"])
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("only root may do: run it with `sudo`"), "{text}");
}
