//! A thousand servers are added and removed one by one through the API, under load.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_testkit::{Load, Nginx, Report, free_address, free_port, wrk};
use serde_json::{Value, json};

use super::load::judge;
use super::page::Part;
use super::site::{Site, found, server};

/// For a thousand; more may take as much longer.
const LONGEST: Duration = Duration::from_secs(60);
const CONNECTIONS: u16 = 16;
/// How long latencies are looked at when nothing changes.
const QUIET: Duration = Duration::from_secs(10);
/// How many times the p99 of that time it may be while servers come and go.
const SLOWER: u32 = 2;
/// Below it nobody feels a p99, and on a busy machine it says nothing.
const UNFELT: Duration = Duration::from_millis(5);
/// What memory may differ by after all rounds: allocators give pages back when it suits them. A kilobyte for each server
/// that ever came would be more.
const UNEVEN_KIB: u64 = 3072;
/// How long they have for that.
const SETTLING: Duration = Duration::from_secs(20);
const ROUNDS: usize = 3;

pub(super) fn run(program: &Path, count: usize) -> Result<Part, String> {
    let mut part = Part::new(
        &format!("{count} servers come and go"),
        format!(
            "One client of the API adds {count} servers to a pool with active checks and removes them again (each drains \
             first), one request after the other, while wrk asks over {CONNECTIONS} connections as fast as it is answered. A \
             first round warms up; memory (PSS of all processes) is compared with that after {ROUNDS} more. The p99 of the best \
             round is judged against that of quiet times before and after: what else the machine does only adds to it."
        ),
    );
    // It answers on every address of 127.0.0.0/8, so that each added server has its own.
    let everywhere = free_port();
    let directives = format!(
        "keepalive_timeout 60s; keepalive_requests 1000000;\n\
         server {{ listen 0.0.0.0:{everywhere} backlog=4096; location / {{ return 200 \"x\"; }} }}"
    );
    let nginx = Nginx::start_with("s0", free_port(), &directives);
    let address = free_address();
    let site = Site::start(program, &text(address, nginx.address()));
    let url = format!("http://{address}/");
    round(&site, &url, count, everywhere)?;
    let memory = site.memory_kib();
    part.see("memory after the first round", mebibytes(memory));
    let before = wrk(&url, CONNECTIONS, QUIET).p99;
    let mut busy = Vec::new();
    for _ in 0..ROUNDS {
        let (added, removed, report) = round(&site, &url, count, everywhere)?;
        let most = LONGEST.mul_f64((count as f64 / 1000.0).max(1.0));
        let took = format!("{added:.1?} and {removed:.1?}");
        part.judge("time to add and to remove them", took, added + removed < most);
        judge(&mut part, "kept connections meanwhile", &report);
        busy.push(report.p99);
    }
    let after = settled(&site, memory + UNEVEN_KIB);
    part.judge("memory after the others", mebibytes(after), after <= memory + UNEVEN_KIB);
    let after = wrk(&url, CONNECTIONS, QUIET).p99;
    part.see("p99 in quiet times", format!("{before:.1?} before, {after:.1?} after"));
    let usual = before.max(after);
    let shown: Vec<String> = busy
        .iter()
        .map(|p99| format!("{p99:.1?} ({:.1} ×)", p99.as_secs_f64() / usual.as_secs_f64()))
        .collect();
    let best = busy.into_iter().min().unwrap_or_default();
    part.judge("p99 meanwhile", shown.join(", "), best <= UNFELT || best < usual * SLOWER);
    site.stop()?;
    Ok(part)
}

/// Adds and removes them once; how long each took, and what the load saw.
fn round(site: &Site, url: &str, count: usize, port: u16) -> Result<(Duration, Duration, Report), String> {
    let load = Load::start(url, CONNECTIONS, LONGEST * 60);
    let before = found(&site.status()?, "s0").and_then(|server| server["total"].as_u64());
    site.wait_until(SETTLING, |status| {
        found(status, "s0").and_then(|server| server["total"].as_u64()) > before.map(|total| total + 100)
    })?;
    let mut api = site.api().map_err(|error| error.to_string())?;
    let began = Instant::now();
    let name = |number: usize| format!("extra{number}");
    for number in 0..count {
        let address = format!("127.1.{}.{}:{port}", number / 200, 1 + number % 200);
        api.must("PUT", &server(&name(number)), &json!({ "address": address }), 201)?;
    }
    let added = began.elapsed();
    // The last one's check has passed and it gets its share.
    let last = name(count - 1);
    site.wait_until(SETTLING, |status| {
        found(status, &last).is_some_and(|server| server["total"].as_u64() > Some(0))
    })?;
    let began = Instant::now();
    for number in 0..count {
        api.must("DELETE", &server(&name(number)), &Value::Null, 202)?;
    }
    site.wait_until(LONGEST, |status| status["runtime_changes"].as_array().is_some_and(Vec::is_empty))?;
    Ok((added, began.elapsed(), load.stop()))
}

/// Memory once it has come down to `wanted`, or at the end of the time for it.
fn settled(site: &Site, wanted: u64) -> u64 {
    let end = Instant::now() + SETTLING;
    loop {
        let memory = site.memory_kib();
        if memory <= wanted || Instant::now() >= end {
            return memory;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn mebibytes(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

fn text(address: SocketAddr, server: SocketAddr) -> String {
    format!(
        "[listener.website]\nbind = \"{address}\"\npool = \"website\"\n[pool.website]\n\
         health = {{ http = \"/\", interval = \"1s\", fast-interval = \"100ms\" }}\n\
         [pool.website.servers]\ns0 = \"{server}\"\n"
    )
}
