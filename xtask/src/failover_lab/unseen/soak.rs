//! A quiet site whose machine has more to do than it can, with real traffic through the balancers: nobody may take over.

use std::path::Path;
use std::time::{Duration, Instant};

use super::page::ms;
use super::site::{Site, target};
use crate::failover_lab::load::Load;

const LONG: Duration = Duration::from_secs(600);

pub(super) fn run(program: &Path) -> Result<(), String> {
    let site = Site::start(program);
    let seen = |site: &Site| (site.on_first.changes().len(), site.on_second.changes().len());
    let before = seen(&site);
    let begun = Instant::now();
    // The web servers are busy with requests, and every core with programs that never wait besides.
    let (wrk, spinning) = (site.load(LONG), Load::start());
    let probes = site.probe();
    wrk.wait(LONG + evenkeel_testkit::BOUND);
    let (ping, fetch) = (probes.echo.stop(), probes.fetch.stop());
    drop(spinning);
    let lines = wrk.lines();
    let told = |what: &str| lines.iter().find(|line| line.contains(what)).map_or("-", |line| line.trim());
    println!(
        "{:.0} s under full load, {} web servers, address {}: {}; {}",
        begun.elapsed().as_secs_f64(),
        site.servers(),
        target(),
        told("requests in"),
        told("Non-2xx")
    );
    println!(
        "echoes: {} of {} answered, longest outage {} ms; pages: {} of {}, longest outage {} ms",
        ping.answered,
        ping.sent,
        ms(Some(ping.longest())),
        fetch.answered,
        fetch.sent,
        ms(Some(fetch.longest()))
    );
    if seen(&site) == before {
        println!("nobody took over");
        Ok(())
    } else {
        Err(format!("the address has moved\n{}", site.logs()))
    }
}
