//! `cargo xtask flood-lab`: replays every known flood against the release build, and writes to the guide what others saw of it,
//! what memory it took, whether the attacker was cut, and what the metrics say.

mod attacks;
mod clients;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_testkit::http2::trusting;
use evenkeel_testkit::{Authority, Nginx, free_address, free_port, needs};
use serde_json::Value;

use crate::live_lab::{Part, Site};
use attacks::{ATTACKS, Attack, ONE_TIMEOUT, TWO_TIMEOUTS, Target};
use clients::Clients;

const PAGE: &str = "docs/guide/floods-measured.md";
/// How long latencies are looked at before each attack.
const QUIET: Duration = Duration::from_secs(5);
const SECONDS: u64 = 30;
/// Bytes of the response that slow readers ask for.
const BIG: u64 = 64 * 1024 * 1024;
/// What is promised: memory, and how many times slower others may be served.
const MOST_GROWTH_KIB: u64 = 50 * 1024;
const SLOWER: f64 = 2.0;
/// Below it nobody feels a p99, and on a busy machine it says nothing.
const UNFELT: Duration = Duration::from_millis(5);
const SAMPLE: Duration = Duration::from_millis(100);

/// Runs the lab with the arguments after `flood-lab`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let (mut only, mut seconds) = (None, SECONDS);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match *argument {
            "--only" => only = Some((*value).to_owned()),
            "--seconds" => seconds = value.parse().map_err(|_| "--seconds needs a number")?,
            other => return Err(format!("flood-lab does not know {other}")),
        }
    }
    if !(needs("nginx") && needs("openssl") && needs("chrt")) {
        let what = "apt-get install nginx-light openssl util-linux";
        return Err(format!("the lab needs `nginx`, `openssl` and `chrt`: {what}"));
    }
    let program = crate::bench::program(root)?;
    let (mut parts, mut done) = (Vec::new(), Vec::new());
    for attack in ATTACKS.iter().filter(|attack| {
        only.as_deref().is_none_or(|only| only.split('|').any(|only| attack.name.contains(only)))
    }) {
        println!("{} …", attack.name);
        let part = measure(&program, attack, seconds).unwrap_or_else(|why| Part::broken(attack.name, why));
        print!("{}", part.text());
        parts.push(part);
        done.push(attack.name);
        write(root, &parts, &done, seconds)?;
    }
    match parts.iter().filter(|part| !part.is_kept()).count() {
        0 => Ok(()),
        count => Err(format!("flood-lab: {count} of {} promises were not kept; see above", parts.len())),
    }
}

fn measure(program: &Path, attack: &Attack, seconds: u64) -> Result<Part, String> {
    let authority = Authority::new();
    let issued = authority.issue("test", &["test.example"]);
    // What it passes on it reads whole before, so it answers no upload early.
    let (port, uploads) = (free_port(), free_address());
    let reader =
        format!("server {{ listen {uploads}; location / {{ proxy_pass http://127.0.0.1:{port}; }} }}");
    let nginx = Nginx::start_with("lab", port, &reader);
    // What attackers download: a server of its own, or what others feel would be that server's one process. It shares the machine, and
    // with it the memory for TCP, which servers elsewhere do not.
    let files = Nginx::start_frugal("files", free_port(), "");
    files.file("big", BIG);
    let (plain, secure) = (free_address(), free_address());
    let text = format!(
        "[listener.plain]\nbind = \"{plain}\"\npool = \"website\"\n\
         [listener.secure]\nbind = \"{secure}\"\npool = \"website\"\n\
         tls = {{ certificates = [{{ certificate = {:?}, key = {:?} }}] }}\n\
         [[listener.plain.route]]\npath = \"/upload\"\npool = \"uploads\"\n[pool.uploads.servers]\ns0 = \"{uploads}\"\n\
         [[listener.plain.route]]\npath-prefix = \"/files/\"\npool = \"files\"\n[pool.files.servers]\ns0 = \"{}\"\n\
         [pool.website.servers]\ns0 = \"{}\"\n",
        issued.certificate,
        issued.key,
        files.address(),
        nginx.address()
    );
    let site = Site::start(program, &text);
    let trust = trusting(&authority.ca());
    let clients = Clients::start(plain, secure, trust.clone());
    // What a first request needs is not counted.
    clients.measure(Duration::from_secs(1));
    let before = clients.measure(QUIET);
    let (memory, counts) = (site.memory_kib(), counters(&site.status()?));
    let lasts = Duration::from_secs(seconds.max(attack.lasts));
    let target = Target {
        plain,
        secure,
        trust,
        until: Instant::now() + lasts,
        begun: AtomicU64::new(0),
        cut: AtomicU64::new(0),
    };
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(memory));
    let during = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(site.memory_kib(), Ordering::Relaxed);
                std::thread::sleep(SAMPLE);
            }
        });
        for _ in 0..attack.threads {
            scope.spawn(|| attack.run(&target));
        }
        let during = clients.measure(lasts);
        over.store(true, Ordering::Relaxed);
        during
    });
    let after = counters(&site.status()?);
    let mut part = Part::new(attack.name, attack.what());
    let grown = most.into_inner().saturating_sub(memory);
    part.judge("memory grew by", format!("{:.1} MiB", grown as f64 / 1024.0), grown < MOST_GROWTH_KIB);
    for ((name, quiet), (_, busy)) in before.iter().zip(&during) {
        let times = busy.p99.as_secs_f64() / quiet.p99.as_secs_f64().max(1e-6);
        part.judge(
            &format!("p99 of others, {name}"),
            format!(
                "{:.2?} before, {:.2?} meanwhile ({times:.1} ×), of {} requests",
                quiet.p99, busy.p99, busy.count
            ),
            busy.p99 <= UNFELT || times < SLOWER,
        );
        part.judge(&format!("failed, {name}"), busy.failed.to_string(), busy.failed == 0);
    }
    let (begun, cut) = (target.begun.into_inner(), target.cut.into_inner());
    part.judge(
        "the attacker's connections",
        format!("{begun} begun, {cut} cut"),
        cut > 0 || attack.metrics.is_empty(),
    );
    let rose: Vec<String> = after
        .iter()
        .filter_map(|(name, count)| {
            let more = count - before_of(&counts, name);
            (more > 0).then(|| format!("`{name}` +{more}"))
        })
        .collect();
    let told = rose.iter().any(|line| attack.metrics.iter().any(|metric| line.contains(metric)));
    let shown = if rose.is_empty() { "nothing".to_owned() } else { rose.join(", ") };
    part.judge("the metrics say", shown, told || attack.metrics.is_empty());
    Ok(part)
}

fn before_of(counts: &BTreeMap<String, u64>, name: &str) -> u64 {
    counts.get(name).copied().unwrap_or(0)
}

/// The counters that give reasons, all listeners together.
fn counters(status: &Value) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for listener in status["traffic"]["listeners"].as_array().into_iter().flatten() {
        let mut add =
            |name: String, value: &Value| *found.entry(name).or_default() += value.as_u64().unwrap_or(0);
        add("silent".into(), &listener["silent_total"]);
        add("slow_readers".into(), &listener["slow_readers_total"]);
        for (family, map) in [
            ("http2_floods", &listener["http2"]["floods_total"]),
            ("own_answers", &listener["answers_total"]),
            ("tls_failures", &listener["tls"]["failures_total"]),
        ] {
            for (reason, count) in map.as_object().into_iter().flatten() {
                add(format!("{family}: {reason}"), count);
            }
        }
    }
    found
}

fn write(root: &Path, parts: &[Part], done: &[&str], seconds: u64) -> Result<(), String> {
    let head = format!(
        "# Floods, measured\n\n<!-- Written by `cargo xtask flood-lab`. -->\n\n\
         Each [flood](http2.md#floods) is replayed against the release build as it is shipped, while ordinary clients send 100 requests a \
         second over each of two kept connections of HTTP/1.1 and two of HTTP/2 over TLS. All of it runs on one machine ({}): program, \
         server, clients and attacker share its processors and are not pinned, so the attacker pauses between bursts and is not limited by \
         them alone. Promised, and judged: memory (PSS of all processes, looked at ten times a second) grows by less than 50 MiB, others \
         are served less than twice as slowly (or within 5 ms), none of their requests fails, the attacker is cut, and a metric says why. \
         What attackers download comes from a server of its own, which would be on another machine and keeps at most 256 KiB of a response in \
         the kernel here. \
         Attackers that wait for a timeout of a minute go on for {ONE_TIMEOUT} s, those whose connections end with a second one for \
         {TWO_TIMEOUTS} s, the others for {seconds} s.\n",
        crate::bench::machine()
    );
    let missing: Vec<&str> =
        ATTACKS.iter().map(|attack| attack.name).filter(|name| !done.contains(name)).collect();
    let missing = match missing.as_slice() {
        [] => String::new(),
        names => format!("\nNot replayed in this run, so nothing is said of them: {}.\n", names.join("; ")),
    };
    let sections: Vec<String> = parts.iter().map(Part::section).collect();
    std::fs::write(root.join(PAGE), format!("{head}{missing}\n{}", sections.join("\n")))
        .map_err(|error| format!("{PAGE} cannot be written: {error}"))
}
