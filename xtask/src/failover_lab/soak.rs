//! Quiet pairs on a machine whose cores are all busy: nobody may take over.
//!
//! Ten minutes at 0.1 s; two minutes at 0.01 s, and the same with the real-time priority taken away from the role, to see
//! what it is good for.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use evenkeel_testkit::lab::Capture;

use super::load::Load;
use super::node::{Node, cpu_time};
use super::pair::{Pair, Timing};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(120);

/// One pair under observation.
struct Watched {
    name: &'static str,
    pair: Pair,
    capture: Capture,
    lines: [usize; 2],
    cpu: Duration,
    begun: Instant,
    lasts: Duration,
}

pub(super) fn run(program: &Path) -> Result<(), String> {
    let timing = |ms| Timing { version: 3, interval: Duration::from_millis(ms) };
    let long = Pair::start(timing(100), program);
    let short = Pair::start(timing(10), program);
    let ordinary = Pair::start(timing(10), program);
    for pair in [&long, &short, &ordinary] {
        pair.settle();
    }
    for node in [&ordinary.a, &ordinary.b].into_iter().flatten() {
        make_ordinary(node)?;
    }
    let _load = Load::start();
    let mut wrong = Vec::new();
    let long = Watched::begin("0.1 s", long, LONG)?;
    let others = [
        Watched::begin("0.01 s", short, SHORT)?,
        Watched::begin("0.01 s, ordinary priority", ordinary, SHORT)?,
    ];
    for other in others {
        // What happens at 0.01 s is reported; no promise is made.
        other.end()?;
    }
    if long.end()? > 0 {
        wrong.push("false failovers at 0.1 s");
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
}

fn make_ordinary(node: &Node) -> Result<(), String> {
    let id = node.role("ha")?.as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["-a", "-o", "-p", "0", &id]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("the role's priority cannot be taken away: {other:?}")),
    }
}

impl Watched {
    fn begin(name: &'static str, pair: Pair, lasts: Duration) -> Result<Self, String> {
        for (which, node) in [("first", &pair.a), ("second", &pair.b)] {
            let Some(node) = node else { continue };
            let state = &node.status()?["virtual_routers"]["state"];
            let id = node.role("ha")?.as_raw_nonzero();
            println!(
                "{name}, {which} node: memory_locked {}, real_time {}; the kernel says: {}, {}",
                state["memory_locked"],
                state["real_time"],
                locked(id.get()),
                policy(id.get())
            );
        }
        let lines = [&pair.a, &pair.b].map(|node| node.as_ref().map_or(0, |node| node.lines().len()));
        let cpu = cpu_of(&pair)?;
        Ok(Self {
            name,
            capture: pair.client.capture("eth0"),
            lines,
            cpu,
            pair,
            begun: Instant::now(),
            lasts,
        })
    }

    /// Waits for the end of its time and tells what was seen; returns how often anybody became active.
    fn end(self) -> Result<usize, String> {
        std::thread::sleep((self.begun + self.lasts).saturating_duration_since(Instant::now()));
        let lasted = self.begun.elapsed();
        let frames = self.capture.frames();
        println!("{}: {:.0} s under full load", self.name, lasted.as_secs_f64());
        for &family in self.pair.timing.families() {
            let [first, second] = self.pair.sources(family);
            let from = |source| {
                frames
                    .iter()
                    .filter(move |frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == source))
            };
            let at: Vec<Instant> = from(first).map(|frame| frame.at).collect();
            let mut gaps: Vec<Duration> =
                at.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).collect();
            gaps.sort();
            let part =
                |per_mille: usize| gaps.get(gaps.len() * per_mille / 1000).copied().unwrap_or_default();
            println!(
                "  {}: {} advertisements of the first node, {} of the second; between two: median {:?}, 99.9 % {:?}, most {:?} \
                 (the second takes over after {:?})",
                family.name(),
                at.len(),
                from(second).count(),
                part(500),
                part(999),
                gaps.last().copied().unwrap_or_default(),
                self.pair.timing.down_interval()
            );
        }
        let share = (cpu_of(&self.pair)?.saturating_sub(self.cpu)).as_secs_f64() / lasted.as_secs_f64();
        println!("  CPU of both roles together: {:.2} % of a core", share * 100.0);
        let mut takeovers = 0;
        for (node, seen) in [&self.pair.a, &self.pair.b].into_iter().zip(self.lines) {
            let lines = node.as_ref().map(|node| node.lines().split_off(seen)).unwrap_or_default();
            takeovers += lines.iter().filter(|line| line.contains(": active (was")).count();
            for line in lines.iter().take(12) {
                println!("    {line}");
            }
        }
        println!("  somebody became active {takeovers} times");
        Ok(takeovers)
    }
}

fn cpu_of(pair: &Pair) -> Result<Duration, String> {
    let roles: Result<Vec<_>, String> =
        [&pair.a, &pair.b].into_iter().flatten().map(|node| node.role("ha")).collect();
    Ok(roles?.into_iter().map(cpu_time).sum())
}

fn locked(id: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmLck")).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn policy(id: i32) -> String {
    let output = Command::new("chrt").args(["-p", &id.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let words = text.lines().filter_map(|line| line.rsplit_once(": ")).map(|(_, word)| word);
    words.collect::<Vec<_>>().join(", priority ")
}
