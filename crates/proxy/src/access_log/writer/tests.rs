//! The writer with real files, pipes and sockets.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use evenkeel_config::plan::LogTarget;
use evenkeel_testkit::{BOUND, temp_dir};

use super::super::line::MOST_LINE;
use super::super::sink::{LANE_BYTES, Sink};
use super::*;

fn sink(output: Output) -> Sink {
    Sink::start(LogTarget::Stdout, 1, output).unwrap()
}

fn add(sink: &Sink, text: &str) {
    sink.add(0, |_, out| out.extend_from_slice(text.as_bytes()));
}

fn finish(sink: &Sink) {
    sink.close();
    sink.writing().wait(Instant::now() + BOUND);
}

#[test]
fn lines_are_written_in_order_and_the_last_ones_at_the_end() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = sink(Output::file(writer.into()).unwrap());
    for number in 0..1000 {
        add(&sink, &format!("{number}\n"));
    }
    finish(&sink);
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(text, expected);
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_no_time() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = sink(Output::file(writer.into()).unwrap());
    let line = "x".repeat(999) + "\n";
    // Ten times what the lane, the writer and the pipe (64 KiB) hold.
    let count = 10 * (2 * LANE_BYTES + 65_536) / line.len();
    for _ in 0..count {
        add(&sink, &line);
    }
    let tally = sink.tally();
    assert_eq!(tally.lines_total + tally.dropped_total, count as u64);
    let written = usize::try_from(tally.lines_total).unwrap() * line.len();
    assert!(written <= 2 * LANE_BYTES + 65_536, "{tally:?}");
    assert!(written >= LANE_BYTES - MOST_LINE, "{tally:?}");
    finish(&sink);
    // What was neither dropped at first nor lost at last is in the pipe.
    let tally = sink.tally();
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(
        text.lines().filter(|text| text.len() == 999).count() as u64,
        count as u64 - tally.dropped_total
    );
}

#[test]
fn a_reader_that_comes_back_gets_new_lines() {
    let directory = temp_dir();
    let (broken, writer) = std::io::pipe().unwrap();
    drop(broken);
    let sink = sink(Output::file(writer.into()).unwrap());
    add(&sink, "lost\n");
    while sink.tally().dropped_total == 0 {
        std::thread::yield_now();
    }
    let path = directory.path().join("log");
    sink.replace(evenkeel_sys::output::open_log(&path).unwrap());
    add(&sink, "kept\n");
    finish(&sink);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");
    assert_eq!(sink.tally().dropped_total, 1);
}

#[test]
fn a_stuck_pipe_is_left_for_a_new_file_at_the_start_of_a_line() {
    let directory = temp_dir();
    let (_reader, writer) = std::io::pipe().unwrap();
    let sink = sink(Output::file(writer.into()).unwrap());
    let line = "y".repeat(4999) + "\n";
    for _ in 0..40 {
        add(&sink, &line);
    }
    let path = directory.path().join("log");
    sink.replace(evenkeel_sys::output::open_log(&path).unwrap());
    finish(&sink);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.is_empty());
    assert!(text.lines().all(|text| text.len() == 4999), "a part of a line came first");
}

#[test]
fn the_system_log_gets_one_datagram_a_line_and_may_be_restarted() {
    let directory = temp_dir();
    let path = directory.path().join("log");
    let listener = UnixDatagram::bind(&path).unwrap();
    listener.set_read_timeout(Some(BOUND)).unwrap();
    let sink = sink(Output::syslog(path.clone()));
    let next = |listener: &UnixDatagram| {
        let mut bytes = [0; 200];
        let count = listener.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    add(&sink, "one\n");
    add(&sink, "two\n");
    let id = std::process::id();
    assert_eq!(next(&listener), format!("<134>evenkeel[{id}]: one"));
    assert_eq!(next(&listener), format!("<134>evenkeel[{id}]: two"));
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixDatagram::bind(&path).unwrap();
    listener.set_read_timeout(Some(BOUND)).unwrap();
    add(&sink, "three\n");
    assert_eq!(next(&listener), format!("<134>evenkeel[{id}]: three"));
}

#[test]
fn a_full_disk_loses_lines_and_is_no_end() {
    let full: OwnedFd = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into();
    let sink = sink(Output::file(full).unwrap());
    add(&sink, "a\nb\n");
    finish(&sink);
    assert_eq!(sink.tally().dropped_total, 2);
}
