//! A server with long requests is removed: it goes when the last has ended, or at the bound, and nothing is cut.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_testkit::{BOUND, Connection, HttpClient, ToyServer, free_address};

use super::page::Part;
use super::site::{Site, found};

/// Requests that run on it.
const REQUESTS: usize = 20;
/// Half of what each is answered, before and after it waits.
const HALF: usize = 100_000;
/// The bound of the second removal.
const WITHIN: Duration = Duration::from_secs(3);
/// From the last end, or the bound, to the removal: the supervisor looks five times a second.
const LATE: Duration = Duration::from_secs(2);

/// Closed until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.1.wait_while(open, |open| !*open));
    }
}

/// Answers half of a body at once and the other when the gate is open.
fn slow(gate: Arc<Gate>) -> ToyServer {
    ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * HALF);
            let first = connection.write(head).and_then(|()| connection.write(vec![b'a'; HALF]));
            gate.pass();
            if first.and_then(|()| connection.write(vec![b'b'; HALF])).is_err() {
                return;
            }
        }
    })
}

fn fetch(address: SocketAddr) -> JoinHandle<io::Result<bool>> {
    std::thread::spawn(move || {
        let mut client = HttpClient::connect(address)?;
        client.stream().set_read_timeout(Some(BOUND * 2))?;
        let body = client.get("/")?.body;
        Ok(body == [vec![b'a'; HALF], vec![b'b'; HALF]].concat())
    })
}

pub(super) fn run(program: &Path) -> Result<Part, String> {
    let mut part = Part::new(
        "Drains of a busy server",
        format!(
            "A server with {REQUESTS} long requests is removed (`evenkeel server remove`). Once they end before its bound, \
             once (`--drain-timeout {}s`) they do not.",
            WITHIN.as_secs()
        ),
    );
    let gate = Arc::new(Gate::default());
    let (busy, other, address) = (slow(gate.clone()), ToyServer::named("other"), free_address());
    let text = format!(
        "[listener.website]\nbind = \"{address}\"\npool = \"website\"\n[pool.website.servers]\n\
         busy = \"{}\"\nother = {{ address = \"{}\", backup = true }}\n",
        busy.address(),
        other.address()
    );
    let site = Site::start(program, &text);
    let bound = format!("{}s", WITHIN.as_secs());
    for within in ["60s", bound.as_str()] {
        gate.set(false);
        let requests: Vec<_> = (0..REQUESTS).map(|_| fetch(address)).collect();
        site.wait_until(BOUND, |status| {
            found(status, "busy").is_some_and(|server| server["running"] == REQUESTS)
        })?;
        let began = Instant::now();
        site.command(&["server", "remove", "website/busy", "--no-wait", "--drain-timeout", within])?;
        let elsewhere = HttpClient::connect(address).and_then(|mut client| client.get("/"));
        let elsewhere = elsewhere.is_ok_and(|response| response.text() == "other");
        let gone = |status: &serde_json::Value| found(status, "busy").is_none();
        let ends_first = within == "60s";
        let stays = found(&site.status()?, "busy").is_some();
        let began = if ends_first {
            gate.set(true);
            Instant::now()
        } else {
            began + WITHIN
        };
        site.wait_until(WITHIN + BOUND, gone)?;
        let late = began.elapsed();
        gate.set(true);
        let whole =
            requests.into_iter().filter_map(|request| request.join().ok()?.ok()).filter(|&ok| ok).count();
        let when = if ends_first { "the last request had ended" } else { "the bound was over" };
        part.judge(
            &format!("removed after {when}, by"),
            format!("{late:.0?}"),
            stays && began <= Instant::now() && late < LATE,
        );
        part.judge("requests that ended whole", format!("{whole} of {REQUESTS}"), whole == REQUESTS);
        part.judge("new requests meanwhile", if elsewhere { "went elsewhere" } else { "failed" }, elsewhere);
        site.command(&["server", "reset", "website/busy"])?;
    }
    site.stop()?;
    Ok(part)
}
