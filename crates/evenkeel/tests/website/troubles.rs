//! Four real servers under load: one after the other is killed, frozen, slowed, made to fail and made silent.
//!
//! What must hold is in the guide: once the check has found the trouble no request fails, and the server comes back by
//! itself. With `EVENKEEL_HEALTH_PAGE` (`cargo xtask health-lab`) times are measured as well and written to that file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_testkit::{BOUND, HttpClient, Nginx, ToyServer, free_address, free_port, needs};

use crate::site::Site;

const HEALTH: &str = "{ http = \"/healthz\", interval = \"250ms\", timeout = \"100ms\", rise = 2, fall = 3 }";
/// What the guide promises of these settings: `interval` + `fall` × max(`timeout`, `fast-interval`).
const PROMISE: Duration = Duration::from_millis(250 + 3 * 125);
/// Clients that ask one request after the other.
const CLIENTS: usize = 8;
/// From the end of a request to the next of the same client, so that the machine is not the bottleneck.
const PACE: Duration = Duration::from_millis(5);
/// How much slower a slowed server is.
const DELAY: Duration = Duration::from_millis(200);
/// Requests that must go well after the trouble was found.
const ENOUGH: usize = 200;
/// How long is measured before a trouble, and after the promise.
const WINDOW: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Seen {
    began: Instant,
    took: Duration,
    well: bool,
}

/// What the clients have seen.
#[derive(Default)]
struct Book {
    seen: Mutex<Vec<Seen>>,
    more: Condvar,
    stop: AtomicBool,
}

impl Book {
    /// Waits until what was seen is as wanted.
    fn wait(&self, wanted: impl Fn(&[Seen]) -> bool) {
        let guard = self.seen.lock().unwrap();
        let (guard, timeout) = self.more.wait_timeout_while(guard, BOUND, |seen| !wanted(seen)).unwrap();
        assert!(!timeout.timed_out(), "only {} requests", guard.len());
    }

    /// Requests that began within a time.
    fn within(&self, from: Instant, to: Instant) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| from <= seen.began && seen.began < to).copied().collect()
    }
}

struct Clients {
    book: Arc<Book>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let book = Arc::new(Book::default());
        let threads = (0..CLIENTS)
            .map(|_| {
                let book = book.clone();
                std::thread::spawn(move || ask(address, &book))
            })
            .collect();
        Self { book, threads }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.book.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

fn ask(address: SocketAddr, book: &Book) {
    let mut client = None;
    while !book.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut open = match client.take() {
            Some(open) => open,
            None => HttpClient::connect(address).unwrap(),
        };
        let answer = open.get("/");
        let took = began.elapsed();
        let well = answer.as_ref().is_ok_and(|answer| answer.status == 200);
        if answer.is_ok_and(|answer| answer.header("connection") != Some("close")) {
            client = Some(open);
        }
        book.seen.lock().unwrap().push(Seen { began, took, well });
        book.more.notify_all();
        pause(PACE);
    }
}

/// Nobody ever says anything.
fn pause(time: Duration) {
    let (_speaker, listener) = channel::<()>();
    let _silence = listener.recv_timeout(time);
}

/// What becomes of a server, and how it is mended.
struct Trouble {
    name: &'static str,
    begin: fn(&Nginx, &Helpers),
    mend: fn(&mut Nginx),
}

/// What slow and silent servers lean on.
struct Helpers {
    slow: ToyServer,
    silent: ToyServer,
}

const TROUBLES: [Trouble; 5] = [
    Trouble { name: "killed", begin: |nginx, _| nginx.kill9(), mend: Nginx::restart },
    Trouble { name: "frozen (SIGSTOP)", begin: |nginx, _| nginx.freeze(), mend: |nginx| nginx.thaw() },
    Trouble {
        name: "slowed by 200 ms",
        begin: |nginx, helpers| nginx.behave(Some(&format!("proxy_pass http://{};", helpers.slow.address()))),
        mend: |nginx| nginx.behave(None),
    },
    Trouble {
        name: "answers 500",
        begin: |nginx, _| nginx.behave(Some("return 500;")),
        mend: |nginx| nginx.behave(None),
    },
    Trouble {
        name: "accepts and says nothing",
        begin: |nginx, helpers| {
            nginx.behave(Some(&format!(
                "proxy_pass http://{}; proxy_read_timeout 1h;",
                helpers.silent.address()
            )));
        },
        mend: |nginx| nginx.behave(None),
    },
];

/// One line of the table.
struct Measured {
    name: &'static str,
    left_out: Duration,
    failed_before: usize,
    asked_after: usize,
    failed_after: usize,
    p99_calm: Duration,
    p99_after: Duration,
    back: Duration,
}

#[test]
fn a_server_in_trouble_is_left_out_and_comes_back_by_itself() {
    if !needs("nginx") {
        return;
    }
    let page = std::env::var_os("EVENKEEL_HEALTH_PAGE");
    let mut servers: Vec<Nginx> =
        (1..=4).map(|n| Nginx::start(&format!("webserver0{n}"), free_port())).collect();
    let helpers = Helpers {
        slow: ToyServer::start(|mut connection| {
            while connection.read_head().is_ok_and(|head| !head.is_empty()) {
                pause(DELAY);
                if connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").is_err() {
                    return;
                }
            }
        }),
        silent: ToyServer::start(|mut connection| drop(connection.read_to_end())),
    };
    let address = free_address();
    let lines: String =
        servers.iter().map(|server| format!("{} = \"{}\"\n", server.name(), server.address())).collect();
    let site = Site::of(
        &format!(
            "[global]\ncontrol-socket = \"${{CONTROL}}\"\n[listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
             [pool.website]\nhealth = {HEALTH}\nresponse-timeout = \"1s\"\n[pool.website.servers]\n{lines}"
        ),
        &[],
    );
    let clients = Clients::start(address);
    clients.book.wait(|seen| seen.len() >= ENOUGH);
    let mut table = Vec::new();
    for (index, trouble) in TROUBLES.iter().enumerate() {
        let server = &mut servers[index % 4];
        table.push(suffer(&site, &clients.book, server, &helpers, trouble, page.is_some()));
    }
    drop(clients);
    if let Some(page) = page {
        write_page(Path::new(&page), &table);
        for line in &table {
            assert!(line.p99_after <= 2 * line.p99_calm, "{}: p99 {:?}", line.name, line.p99_after);
        }
    }
}

fn suffer(
    site: &Site,
    book: &Book,
    server: &mut Nginx,
    helpers: &Helpers,
    trouble: &Trouble,
    measured: bool,
) -> Measured {
    let window = if measured { WINDOW } else { Duration::ZERO };
    let until = |moment: Instant| book.wait(|seen| seen.last().is_some_and(|last| last.began >= moment));
    let name = server.name().to_owned();
    let calm = Instant::now();
    until(calm + window);
    let logged = site.program.lines().len();

    let begun = Instant::now();
    (trouble.begin)(server, helpers);
    let (logged, _) = site.program.wait_for_line_after(
        logged,
        |line| line.contains(&format!("server {name} is down: ")),
        BOUND,
    );
    let found = Instant::now();
    // The time of the promise is looked at only when times are measured.
    let from = if measured { begun + PROMISE } else { found };
    until(from + window);
    book.wait(|seen| seen.iter().filter(|seen| seen.began >= from).count() >= ENOUGH);
    let to = Instant::now();
    let after = book.within(from, to);
    let failed: Vec<&Seen> = after.iter().filter(|seen| !seen.well).collect();
    assert!(failed.is_empty(), "{}: {} of {} requests failed", trouble.name, failed.len(), after.len());

    let mended = Instant::now();
    (trouble.mend)(server);
    site.program.wait_for_line_after(logged, |line| line.contains(&format!("server {name} is up: ")), BOUND);
    let back = mended.elapsed();
    let taken = crate::site::of_server(&site.status(), &name, "total");
    site.wait_until(|status| crate::site::of_server(status, &name, "total") > taken);
    Measured {
        name: trouble.name,
        left_out: found - begun,
        failed_before: book.within(begun, from).iter().filter(|seen| !seen.well).count(),
        asked_after: after.len(),
        failed_after: failed.len(),
        p99_calm: p99(&book.within(calm, begun)),
        p99_after: p99(&after),
        back,
    }
}

/// What 99 of 100 requests did not take longer than.
fn p99(seen: &[Seen]) -> Duration {
    let mut times: Vec<Duration> = seen.iter().map(|seen| seen.took).collect();
    times.sort_unstable();
    times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

fn write_page(path: &Path, table: &[Measured]) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut page = format!(
        "# Health, measured\n\n<!-- Written by `cargo xtask health-lab`. -->\n\n\
         Four real nginx servers behind one Evenkeel, {CLIENTS} clients that ask again {PACE:?} after each answer, all on one \
         machine\nwith {processors} processors. One server after the other gets into trouble and is mended. The pool has\n\n\
         ```toml\nhealth = {HEALTH}\nresponse-timeout = \"1s\"\n```\n\n\
         for which [the bound](health.md#active-checks) is {PROMISE:?}. Requests that began after it are in the last columns; \
         before it those fail\nthat had reached the server in trouble: they are answered 500, or 504 after `response-timeout`.\n\n\
         | trouble | left out after | failed before the bound | after the bound: failed | p99 before the trouble | p99 after \
         the bound | back after |\n|---|---|---|---|---|---|---|\n"
    );
    for line in table {
        let _never_fails = writeln!(
            page,
            "| {} | {:.0?} | {} | {} of {} | {:.1?} | {:.1?} | {:.0?} |",
            line.name,
            line.left_out,
            line.failed_before,
            line.failed_after,
            line.asked_after,
            line.p99_calm,
            line.p99_after,
            line.back
        );
    }
    std::fs::write(path, page).unwrap();
}
