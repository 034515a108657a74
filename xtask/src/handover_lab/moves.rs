//! Failovers back and forth under load.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Part;
use super::clients::{DOWNLOADS, STREAMS, Seen, WEBSOCKETS, hold, load};
use super::site::{FILE, Site};

/// Between two failovers.
const PAUSE: Duration = Duration::from_millis(6000);
/// Before the first and behind the last one.
const MARGIN: Duration = Duration::from_secs(5);
/// So long after a failover everything that follows from it has happened.
const SETTLED: Duration = Duration::from_millis(700);
/// What a message of a WebSocket may take at worst.
const WORST: Duration = Duration::from_millis(20);

pub(super) fn run(program: &Path, moves: usize) -> Result<Part, String> {
    let site = Site::start(program)?;
    let each = PAUSE + Duration::from_millis(200);
    let lasts = 2 * MARGIN + each * u32::try_from(moves).map_err(|error| error.to_string())?;
    let (seen, trust) = (Arc::new(Seen::default()), site.trust());
    let (late, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let holding = site.client.inside(|| hold(&seen, &trust, lasts, (&late, &over)));
    let mut took = Vec::new();
    let mut said = Vec::new();
    let mut left = Vec::new();
    let reports = std::thread::scope(|scope| {
        let loading = scope.spawn(|| site.client.inside(|| load(lasts)));
        std::thread::sleep(MARGIN);
        let mut outcome = Ok(());
        for number in 0..moves {
            let begun = Instant::now();
            seen.is_moving.store(true, Ordering::Relaxed);
            match site.fail_over(number % 2) {
                Ok(line) => said.push(line),
                Err(why) => {
                    outcome = Err(why);
                    break;
                }
            }
            took.push(begun.elapsed());
            std::thread::sleep(SETTLED);
            seen.is_moving.store(false, Ordering::Relaxed);
            // The second node is active: from here on both have something to keep.
            if number % 2 == 0 && number + 1 >= moves / 2 {
                late.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
            left.push(left_on_both(&site));
        }
        late.store(true, Ordering::Relaxed);
        std::thread::sleep(MARGIN);
        over.store(true, Ordering::Relaxed);
        let reports = loading.join().map_err(|_| "the load has failed".to_owned());
        outcome.and(reports)
    })?;
    for thread in holding {
        thread.join().map_err(|_| "a client has failed".to_owned())?;
    }
    site.drained()?;
    Ok(told(&seen, &reports, (&took, &said, &left), moves, &site))
}

/// Connections that are left on either node.
fn left_on_both(site: &Site) -> u64 {
    let left = |at: usize| {
        let status = site.nodes[at].status().unwrap_or_default();
        let giving = &status["virtual_routers"]["state"]["routers"][0]["handover"]["giving"];
        giving.as_u64().unwrap_or(0)
    };
    left(0) + left(1)
}

fn told(
    seen: &Seen,
    reports: &[(&str, evenkeel_testkit::Report)],
    (took, said, left): (&[Duration], &[String], &[u64]),
    moves: usize,
    site: &Site,
) -> Part {
    let mut wrong = Vec::new();
    let mut text = format!(
        "{moves} failovers back and forth, {:.1} s apart; plain and TLS, IPv4 and IPv6 in equal parts, half of it begun at the first node, half \
         at the second in the middle of it. Every byte and every message is compared.\n\n| what clients hold | whole | failed |\n|---|---|---|\n",
        PAUSE.as_secs_f64()
    );
    let mib = FILE / 1024 / 1024;
    let kinds = [
        (format!("{DOWNLOADS} slow downloads of {mib} MiB"), &seen.downloads),
        (format!("{WEBSOCKETS} WebSockets, a message each 20 ms"), &seen.websockets),
        (format!("{STREAMS} streams of HTTP/2 framed as gRPC, a message each 20 ms"), &seen.streams),
    ];
    for (name, count) in kinds {
        let (good, failed) = count.both();
        text += &format!("| {name} | {good} | {failed} |\n");
        if failed > 0 {
            wrong.push(format!("{failed} failed: {name}"));
        }
    }
    text += "\n| requests by wrk | good | failed | p99 |\n|---|---|---|---|\n";
    for (name, report) in reports {
        let failed = report.errors.total();
        text += &format!(
            "| {name} | {} | {failed} | {:.1} ms |\n",
            report.requests,
            report.p99.as_secs_f64() * 1e3
        );
        if failed > 0 {
            wrong.push(format!("{name}: {:?}", report.errors));
        }
    }
    let worst = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(which, when): (usize, usize)| {
        Duration::from_micros(seen.worst[which][when].load(Ordering::Relaxed))
    });
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let slowest = took.iter().max().copied().unwrap_or_default();
    text += &format!(
        "\nOf {} messages the worst round trip while addresses moved took {} (WebSockets; {} otherwise) and {} (streams; {} otherwise). A failover, \
         as the command tells it, took {} at most; up to {} connections were left on the two nodes at once. All of it shares two cores: \
         the clients and servers of WebSockets and streams have them first, then the balancers, then the servers of the rest, then the downloads, and wrk what is left.\n",
        seen.messages.load(Ordering::Relaxed),
        ms(worst[0]),
        ms(worst[1]),
        ms(worst[2]),
        ms(worst[3]),
        ms(slowest),
        left.iter().max().copied().unwrap_or(0)
    );
    if worst[0] > WORST {
        wrong.push(format!("the worst round trip of a WebSocket was {}", ms(worst[0])));
    }
    let lost: Vec<&String> = said.iter().filter(|line| line.contains("not kept")).collect();
    if let Some(line) = lost.first() {
        wrong.push(format!("{} failovers did not keep connections: {line}", lost.len()));
    }
    if !wrong.is_empty() {
        for line in seen.trouble.lock().iter().flat_map(|trouble| trouble.iter()) {
            eprintln!("{line}");
        }
        eprintln!("{}", site.logs());
    }
    Part { title: "Under load", text, wrong }
}
