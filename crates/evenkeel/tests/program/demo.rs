//! The demo, as a newcomer sees it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use evenkeel_testkit::{BOUND, HttpClient, Program, Signal, evenkeel};
use rustix::process::{Pid, kill_process};

#[test]
fn the_demo_balances_survives_and_leaves_nothing_behind() {
    let demo = Program::start(Command::new(evenkeel(env!("CARGO_BIN_EXE_evenkeel"))).arg("demo"));
    let alpha = demo.wait_for_line(|line| line.starts_with("toy server alpha answers"), BOUND);
    let line = demo.wait_for_line(|line| line.contains("over two toy servers"), BOUND);
    let address: SocketAddr =
        line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let ask = || HttpClient::connect(address).unwrap().get("/").unwrap();
    let names = |count: usize| -> Vec<String> {
        (0..count).map(|_| ask().header("x-server").unwrap_or("none").to_owned()).collect()
    };
    let four = names(4);
    assert_eq!(four.iter().collect::<BTreeSet<_>>().len(), 2, "{four:?}");
    assert!(four.windows(2).all(|two| two[0] != two[1]), "they take turns: {four:?}");

    let pid: i32 = alpha.rsplit(' ').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    demo.wait_for_line(|line| line.starts_with("toy server alpha is gone"), BOUND);
    assert_eq!(names(4), ["beta"; 4]);

    let config = demo.wait_for_line(|line| line.contains("evenkeel status -c"), BOUND);
    let directory = std::path::Path::new(config.rsplit(' ').next().unwrap()).parent().unwrap().to_owned();
    assert!(directory.exists());
    demo.signal(Signal::INT);
    assert_eq!(demo.wait(BOUND), 0);
    assert!(!directory.exists());
}
