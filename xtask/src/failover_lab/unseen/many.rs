//! Two hundred failovers in a row under load: every one completes, and nothing is left behind.

use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_testkit::BOUND;
use rustix::process::{Pid, Signal};

use super::page::ms;
use super::site::{ROUTER, Site, target};
use crate::failover_lab::node::Node;

const FAILOVERS: usize = 200;
/// Before the first look, so that what is made once is there.
const WARM_UP: usize = 20;
/// The load is longer than everything.
const LOAD: Duration = Duration::from_secs(900);
/// For connections to servers that are kept for the next request.
const IDLE: Duration = Duration::from_secs(90);
/// A process may have grown by so much: allocators do not return everything.
const GROWTH: u64 = 4096;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Many {
    done: usize,
    /// The longest outages: pings, pages.
    ping: Duration,
    fetch: Duration,
    /// The longest command.
    slowest: Duration,
    wrong: Vec<String>,
    /// What `wrk` was answered meanwhile.
    pages: u64,
    /// Of the process that grew most: kilobytes.
    growth: u64,
}

/// What a node uses.
struct Used {
    /// Open files and memory in kilobytes, by process.
    processes: Vec<(Pid, usize, u64)>,
    /// Its addresses, rules, routes and interfaces.
    network: String,
}

/// Runs them.
pub(super) fn run(program: &Path, repeat: Option<usize>) -> Result<Many, String> {
    let site = Site::start(program);
    let result = measure(&site, repeat.unwrap_or(FAILOVERS));
    match &result {
        Ok(many) => println!("{}", many.paragraph()),
        Err(_) => eprintln!("{}", site.logs()),
    }
    let many = result?;
    if many.wrong.is_empty() { Ok(many) } else { Err(many.wrong.join(", ")) }
}

fn measure(site: &Site, failovers: usize) -> Result<Many, String> {
    let mut many = Many::default();
    {
        let _load = site.load(LOAD);
        for number in 0..WARM_UP {
            fail_over(site, number, &mut many)?;
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let before = [Used::by(site.first_node()?, &site.first), Used::by(site.second_node()?, &site.second)];
    many.slowest = Duration::ZERO;
    let load = site.load(LOAD);
    let probes = site.probe();
    for number in 0..failovers {
        fail_over(site, number, &mut many)?;
        many.done += 1;
    }
    let (ping, fetch) = (probes.echo.stop(), probes.fetch.stop());
    (many.ping, many.fetch) = (ping.longest(), fetch.longest());
    load.signal(Signal::INT);
    let report = load.wait_for_end_of_output(BOUND);
    let count = report.iter().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok());
    many.pages = count.ok_or_else(|| format!("no load: {}", report.join("\n")))?;
    // An even number: everything is where it was.
    site.settle();
    let begun = Instant::now();
    loop {
        let after = [Used::by(site.first_node()?, &site.first), Used::by(site.second_node()?, &site.second)];
        many.wrong.clear();
        for (before, after) in before.iter().zip(&after) {
            many.compare(before, after);
        }
        if many.wrong.is_empty() || begun.elapsed() > IDLE {
            break;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(many)
}

/// Away from the first node, or back to it.
fn fail_over(site: &Site, number: usize, many: &mut Many) -> Result<(), String> {
    let (node, from, to) = if number.is_multiple_of(2) {
        (site.first_node()?, &site.on_first, &site.on_second)
    } else {
        (site.second_node()?, &site.on_second, &site.on_first)
    };
    let begun = Instant::now();
    node.command(&["router", "failover", ROUTER]).map_err(|why| format!("failover {number}: {why}"))?;
    many.slowest = many.slowest.max(begun.elapsed());
    to.wait_until(target(), true);
    from.wait_until(target(), false);
    Ok(())
}

impl Used {
    fn by(node: &Node, host: &evenkeel_testkit::lab::Host) -> Self {
        let processes =
            node.processes().into_iter().map(|process| (process, files(process), memory(process)));
        let asked = ["address show", "rule show", "route show table all", "link show"];
        let mut lines: Vec<String> = asked
            .iter()
            .flat_map(|words| host.ip(words).lines().map(str::to_owned).collect::<Vec<_>>())
            // Its lifetimes count down.
            .filter(|line| !line.contains("valid_lft"))
            .collect();
        lines.sort();
        Self { processes: processes.collect(), network: lines.join("\n") }
    }
}

impl Many {
    fn compare(&mut self, before: &Used, after: &Used) {
        if before.network != after.network {
            self.wrong.push(format!("left behind: {} instead of {}", after.network, before.network));
        }
        for (process, files, memory) in &after.processes {
            let Some((_, files_before, memory_before)) =
                before.processes.iter().find(|(other, ..)| other == process)
            else {
                self.wrong.push(format!("process {} is new", process.as_raw_nonzero()));
                continue;
            };
            if files > files_before {
                self.wrong.push(format!("{files} open files instead of {files_before}"));
            }
            let growth = memory.saturating_sub(*memory_before);
            self.growth = self.growth.max(growth);
            if growth > GROWTH {
                self.wrong.push(format!("{memory} kB of memory instead of {memory_before}"));
            }
        }
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.wrong.clone()
    }

    pub(super) fn paragraph(&self) -> String {
        let left = if self.wrong.is_empty() {
            "No address, rule, route, interface or open file was left behind".to_owned()
        } else {
            format!("Wrong: {}", self.wrong.join(", "))
        };
        format!(
            "**{} failovers in a row** by command, there and back, while `wrk` fetched {} pages over 16 connections: \
             every one completed, the slowest within {} ms. Longest outage of pings {} ms, of pages {} ms. {left}; no \
             process grew by more than {} kB.\n",
            self.done,
            self.pages,
            ms(Some(self.slowest)),
            ms(Some(self.ping)),
            ms(Some(self.fetch)),
            self.growth
        )
    }
}

fn files(process: Pid) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).map_or(0, Iterator::count)
}

/// Resident, in kilobytes.
fn memory(process: Pid) -> u64 {
    let text =
        std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
