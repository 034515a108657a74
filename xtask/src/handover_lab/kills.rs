//! A node dies while a move is under way.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_testkit::WebSocket;

use super::Part;
use super::clients::fetch;
use super::site::{ADDRESSES, PLAIN, Site};

/// Connections that are opened before the move.
const HELD: usize = 20;
/// Silence after which a node takes over (3 x 0.1 s and its skew), and what it takes to tell the neighbours.
const TIMER: Duration = Duration::from_millis(300 + 61 + 40);
const BOUND: Duration = Duration::from_secs(30);

pub(super) fn run(program: &Path) -> Result<Part, String> {
    let mut wrong = Vec::new();
    let mut text = "| what dies | new connections | connections from before |\n|---|---|---|\n".to_owned();

    let mut site = Site::start(program)?;
    let mut held = hold(&site)?;
    site.fail_over(0)?;
    let begun = Instant::now();
    site.nodes[0].kill_all();
    let (mut asked, mut failed) = (0, 0);
    while begun.elapsed() < Duration::from_secs(3) {
        for ip in ADDRESSES {
            asked += 1;
            failed += usize::from(site.client.inside(|| fetch(ip)).is_err());
        }
    }
    let ended = held.iter_mut().map(|socket| socket.echo("there?").is_err()).filter(|ended| *ended).count();
    text += &format!(
        "| the old owner | {failed} of {asked} failed in the 3 s that followed | {ended} of {HELD} ended |\n"
    );
    if failed > 0 {
        wrong.push(format!("{failed} new connections failed as the old owner died"));
    }
    site.restart(0);
    site.settle()?;
    site.drained()?;
    // Back where it began.
    site.fail_over(1)?;
    site.drained()?;

    let mut held = hold(&site)?;
    site.fail_over(0)?;
    let begun = Instant::now();
    site.nodes[1].kill_all();
    let back = loop {
        if site.client.inside(|| quick(ADDRESSES[0])) {
            break begun.elapsed();
        }
        if begun.elapsed() > BOUND {
            return Err(format!("the address did not come back\n{}", site.logs()));
        }
    };
    let lost = held.iter_mut().filter_map(|socket| socket.echo("there?").err()).count();
    text += &format!(
        "| the new owner | answered again after {:.0} ms | {} of {HELD} went on |\n",
        back.as_secs_f64() * 1e3,
        HELD - lost
    );
    if back > TIMER {
        wrong.push(format!("the addresses were back after {back:?}, the timer is {TIMER:?}"));
    }
    if lost > 0 {
        wrong.push(format!("{lost} connections of the old owner did not survive the death of the new one"));
    }
    Ok(Part { title: "A node dies during a move", text, wrong })
}

fn hold(site: &Site) -> Result<Vec<WebSocket>, String> {
    site.client.inside(|| {
        (0..HELD)
            .map(|number| {
                let mut socket = WebSocket::connect((ADDRESSES[number % 2], PLAIN).into(), "/socket")?;
                socket.echo("hello")?;
                Ok(socket)
            })
            .collect::<std::io::Result<_>>()
            .map_err(|error| error.to_string())
    })
}

/// Whether somebody answers a request within a few milliseconds.
fn quick(ip: std::net::IpAddr) -> bool {
    let patience = Duration::from_millis(10);
    let answered = || {
        let mut stream = std::net::TcpStream::connect_timeout(&(ip, PLAIN).into(), patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")?;
        stream.read_exact(&mut [0; 12])
    };
    answered().is_ok()
}
