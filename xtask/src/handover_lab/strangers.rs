//! What strangers can do to the link: nothing, and cheaply.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Part;
use super::site::Site;
use crate::failover_lab::cpu_time;

/// How long each of them tries.
const LASTS: Duration = Duration::from_secs(10);
/// Messages a second.
const RATE: u64 = 10_000;
/// Share of a core that the link may take.
const MOST: f64 = 0.05;
/// A message to nobody in particular: what a greeting is long.
const MESSAGE: [u8; 67] = [0x5a; 67];
/// Threads that send.
const SENDERS: u64 = 4;

pub(super) fn run(program: &Path) -> Result<Part, String> {
    let site = Site::start(program)?;
    let mut wrong = Vec::new();
    let mut text = format!(
        "{RATE} messages a second at the link of the first node for {} s, as far as it takes them:\n\n\
         | who | messages sent | core taken by the link | sessions ended |\n|---|---|---|---|\n",
        LASTS.as_secs()
    );
    for (name, from_peer) in
        [("a stranger's machine", false), ("the other node's machine, without the key", true)]
    {
        let sessions = |site: &Site| -> Result<u64, String> {
            Ok(site.nodes[0].status()?["pair"]["state"]["sessions_total"].as_u64().unwrap_or(0))
        };
        let before = sessions(&site)?;
        let role = site.nodes[0].role("pair")?;
        let (began, cpu) = (Instant::now(), cpu_time(role));
        let host = if from_peer { &site.hosts[1] } else { &site.client };
        let sent = host.inside(flood);
        let share = (cpu_time(role) - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
        let ended = sessions(&site)? - before;
        text += &format!("| {name} | {sent} | {:.1} % | {ended} |\n", share * 100.0);
        if share > MOST {
            wrong.push(format!("{name}: the link took {:.1} % of a core", share * 100.0));
        }
        if ended > 0 {
            wrong.push(format!("{name}: {ended} sessions ended"));
        }
        site.settle()?;
    }
    let status = site.nodes[0].status()?;
    text += &format!("\nRefused: {}.\n", status["pair"]["state"]["refused_total"]);
    let said = site.fail_over(0)?;
    text += &format!("A failover afterwards: {said}.\n");
    Ok(Part { title: "Strangers at the link", text, wrong })
}

/// Connects and sends what a greeting could be, at the rate, as often as the other side lets it; how many messages were sent. What
/// is never answered counts as sent.
fn flood() -> u64 {
    let (sent, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let target = SocketAddr::from(([10, 99, 0, 1], 7411));
                let pause = Duration::from_micros(1_000_000 * SENDERS / RATE);
                let mut next = Instant::now();
                let mut open: Vec<TcpStream> = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    next += pause;
                    let stream = match open.pop() {
                        Some(stream) => Some(stream),
                        None => TcpStream::connect_timeout(&target, Duration::from_millis(1)).ok(),
                    };
                    sent.fetch_add(1, Ordering::Relaxed);
                    if let Some(mut stream) = stream
                        && stream.write_all(&MESSAGE).is_ok()
                    {
                        open.push(stream);
                    }
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        std::thread::sleep(LASTS);
        over.store(true, Ordering::Relaxed);
    });
    sent.load(Ordering::Relaxed)
}
