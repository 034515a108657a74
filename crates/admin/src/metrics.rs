//! The state of the program for Prometheus: text exposition format 0.0.4.
//!
//! Never asks anybody: a page is made of one [`Status`]. Every family is announced by `HELP` and `TYPE` before its
//! samples, no series comes twice, and counters end in `_total`; times are in seconds, sizes in bytes. All families
//! are explained in `docs/guide/metrics.md`.

mod pair;
mod server_tls;
mod sources;
#[cfg(test)]
mod tests;
mod virtual_routers;

use std::fmt::{Display, Write as _};

use evenkeel_proxy::message::{
    HistogramSnapshot, LATENCY_BOUNDS, ListenerSnapshot, LogSnapshot, PoolSnapshot, SERVER_STATES,
    ServerSnapshot, Snapshot, TlsSnapshot,
};

use crate::message::{CertificateStatus, RoleState, Status};

/// The media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the page.
#[must_use]
pub fn render(status: &Status) -> String {
    let mut page = Page(String::new());
    program(&mut page, status);
    certificates(&mut page, &status.certificates);
    sources::write(&mut page, &status.sources);
    if let Some(traffic) = &status.traffic {
        proxy(&mut page, traffic);
        listeners(&mut page, &traffic.listeners);
        handshakes(&mut page, &traffic.listeners);
        pools(&mut page, &traffic.pools);
        sticky(&mut page, &traffic.pools);
        calls(&mut page, &traffic.pools);
        servers(&mut page, &traffic.pools);
        server_tls::handshakes(&mut page, &traffic.pools);
    }
    if let Some(state) = status.virtual_routers.as_ref().and_then(|known| known.state.as_ref()) {
        virtual_routers::write(&mut page, state);
    }
    if let Some(pair) = &status.pair {
        pair::write(&mut page, &pair.state);
    }
    page.0
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family of one sample for each thing of a kind: its name, its type, its help, and where the value is.
type Simple<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

/// The page so far.
struct Page(String);

impl Page {
    /// Begins a family; everything until the next is of it. `help` has neither line ends nor backslashes.
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {}", kind.word()));
        Family { page: self, name }
    }

    /// Families of one sample for each of `things`, which come with their labels.
    fn simple<'t, T: 't, const L: usize>(
        &mut self,
        families: &[Simple<T>],
        things: &(impl Iterator<Item = ([(&'static str, &'t str); L], &'t T)> + Clone),
    ) {
        for &(name, kind, help, value) in families {
            let mut family = self.family(name, kind, help);
            for (labels, thing) in things.clone() {
                family.sample(&labels, value(thing));
            }
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // A string takes whatever is written.
        let _written = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

/// Labels of a sample.
type Labels<'l> = [(&'l str, &'l str)];

/// A family while its samples are written.
struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Family<'_> {
    fn sample(&mut self, labels: &Labels<'_>, value: impl Display) {
        self.suffixed("", labels, value);
    }

    fn suffixed(&mut self, suffix: &str, labels: &Labels<'_>, value: impl Display) {
        self.page.line(format_args!("{}{suffix}{} {value}", self.name, written(labels)));
    }

    /// All samples of a histogram: every bucket counts those before it too.
    fn histogram(&mut self, labels: &Labels<'_>, histogram: &HistogramSnapshot) {
        let bounds = LATENCY_BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
        let mut count: u64 = 0;
        for (bound, bucket) in bounds.chain(["+Inf".to_owned()]).zip(histogram.buckets) {
            count = count.wrapping_add(bucket);
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.suffixed("_bucket", &labels, count);
        }
        let (seconds, nanos) = (histogram.nanos / 1_000_000_000, histogram.nanos % 1_000_000_000);
        self.suffixed("_sum", labels, format_args!("{seconds}.{nanos:09}"));
        self.suffixed("_count", labels, count);
    }
}

/// Labels as they stand behind a name. In values backslashes, quotes and line ends are escaped.
fn written(labels: &Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// What the supervisor knows.
fn program(page: &mut Page, status: &Status) {
    page.family("evenkeel_build_info", Kind::Gauge, "Always 1; the version is a label.")
        .sample(&[("version", &status.version)], 1);
    page.family(
        "evenkeel_start_time_seconds",
        Kind::Gauge,
        "Start of the program, in seconds since 1970-01-01T00:00:00Z.",
    )
    .sample(&[], status.since);
    page.family(
        "evenkeel_generation",
        Kind::Gauge,
        "Programs that have run in this process, one after the other, by upgrades.",
    )
    .sample(&[], status.generation);
    page.family(
        "evenkeel_old_generations",
        Kind::Gauge,
        "Programs from before an upgrade that still finish their connections.",
    )
    .sample(&[], status.old_generations.len() as u64);
    page.family(
        "evenkeel_plan_revision",
        Kind::Gauge,
        "Counts up with each configuration that is put in force.",
    )
    .sample(&[], status.revision);
    let mut running =
        page.family("evenkeel_role_running", Kind::Gauge, "1 while the role process does its work.");
    for role in &status.roles {
        running.sample(&[("role", &role.name)], u8::from(role.state == RoleState::Running));
    }
    let mut restarts = page.family(
        "evenkeel_role_restarts_total",
        Kind::Counter,
        "How often the role process had to be started again.",
    );
    for role in &status.roles {
        restarts.sample(&[("role", &role.name)], role.restarts);
    }
    if let Some(reload) = &status.last_reload {
        page.family("evenkeel_last_reload_succeeded", Kind::Gauge, "1 when the last reload was done.")
            .sample(&[], u8::from(reload.succeeded));
        page.family(
            "evenkeel_last_reload_timestamp_seconds",
            Kind::Gauge,
            "When the last reload ended, in seconds since 1970-01-01T00:00:00Z.",
        )
        .sample(&[], reload.at);
    }
    page.family(
        "evenkeel_proxy_answers",
        Kind::Gauge,
        "1 when the proxy role was asked for this page and answered; without it no traffic is shown.",
    )
    .sample(&[], u8::from(status.traffic.is_some()));
}

/// The proxy role as a whole.
fn proxy(page: &mut Page, traffic: &Snapshot) {
    let whole: [Simple<Snapshot>; 3] = [
        ("evenkeel_workers", Kind::Gauge, "Threads that move traffic.", |all| all.workers.into()),
        ("evenkeel_connections", Kind::Gauge, "Client connections now.", |all| all.connections),
        ("evenkeel_connections_limit", Kind::Gauge, "Client connections at once, at most.", |all| {
            all.max_connections
        }),
    ];
    for (name, kind, help, value) in whole {
        page.family(name, kind, help).sample(&[], value(traffic));
    }
    let logs: [Simple<LogSnapshot>; 2] = [
        ("evenkeel_log_lines_total", Kind::Counter, "Lines of access logs taken for writing.", |log| {
            log.lines_total
        }),
        ("evenkeel_log_lines_dropped_total", Kind::Counter, "Lines of access logs lost.", |log| {
            log.dropped_total
        }),
    ];
    page.simple(&logs, &traffic.logs.iter().map(|log| ([("to", log.to.as_str())], log)));
}

fn listeners(page: &mut Page, listeners: &[ListenerSnapshot]) {
    let simple: [Simple<ListenerSnapshot>; 6] = [
        (
            "evenkeel_listener_proxy_headers_refused_total",
            Kind::Counter,
            "Connections closed because their PROXY header was missing or broken.",
            |listener| listener.proxy_headers_refused_total,
        ),
        ("evenkeel_listener_connections", Kind::Gauge, "Client connections now.", |listener| {
            listener.connections
        }),
        ("evenkeel_listener_connections_total", Kind::Counter, "Client connections accepted.", |listener| {
            listener.connections_total
        }),
        (
            "evenkeel_listener_requests_total",
            Kind::Counter,
            "Requests whose head was understood.",
            |listener| listener.requests_total,
        ),
        (
            "evenkeel_listener_in_bytes_total",
            Kind::Counter,
            "Bytes from clients, counted at the end of each request or TCP connection.",
            |listener| listener.bytes_in_total,
        ),
        (
            "evenkeel_listener_out_bytes_total",
            Kind::Counter,
            "Bytes to clients, counted at the end of each request or TCP connection.",
            |listener| listener.bytes_out_total,
        ),
    ];
    page.simple(&simple, &listeners.iter().map(named));
    let http = || listeners.iter().filter(|listener| listener.mode == "http");
    let mut responses = page.family(
        "evenkeel_listener_responses_total",
        Kind::Counter,
        "Answers begun, by the first digit of their status, our own included.",
    );
    for listener in http() {
        for (class, count) in &listener.responses_total {
            responses.sample(&[("listener", listener.name.as_str()), ("class", class)], count);
        }
    }
    let simple: [Simple<ListenerSnapshot>; 4] = [
        (
            "evenkeel_listener_silent_connections_total",
            Kind::Counter,
            "Connections that were closed because not a byte came over them.",
            |listener| listener.silent_total,
        ),
        (
            "evenkeel_listener_slow_readers_total",
            Kind::Counter,
            "Responses that were broken off because their client took nothing, or too little.",
            |listener| listener.slow_readers_total,
        ),
        (
            "evenkeel_listener_http2_connections_total",
            Kind::Counter,
            "Client connections over which HTTP/2 was spoken.",
            |listener| listener.http2.connections_total,
        ),
        (
            "evenkeel_listener_http2_streams_total",
            Kind::Counter,
            "Requests that came over HTTP/2.",
            |listener| listener.http2.streams_total,
        ),
    ];
    page.simple(&simple, &http().map(named));
    let mut floods = page.family(
        "evenkeel_listener_http2_floods_total",
        Kind::Counter,
        "HTTP/2 connections that were cut because they burnt time, by what there was too much of.",
    );
    for listener in http() {
        for (reason, count) in &listener.http2.floods_total {
            floods.sample(&[("listener", listener.name.as_str()), ("reason", reason)], count);
        }
    }
    let mut answers = page.family(
        "evenkeel_listener_own_answers_total",
        Kind::Counter,
        "Requests that we answered ourselves, and TCP connections that got no server, by reason.",
    );
    for listener in listeners {
        for (reason, count) in &listener.answers_total {
            answers.sample(&[("listener", listener.name.as_str()), ("reason", reason)], count);
        }
    }
    let mut latency = page.family(
        "evenkeel_listener_request_seconds",
        Kind::Histogram,
        "From the head of a request to the last byte of its answer; tunnels are left out.",
    );
    for listener in http() {
        latency.histogram(&[("listener", listener.name.as_str())], &listener.latency);
    }
    let mut durations = page.family(
        "evenkeel_listener_connection_seconds",
        Kind::Histogram,
        "From the accept of a TCP connection to its end.",
    );
    for listener in listeners.iter().filter(|listener| listener.mode == "tcp") {
        durations.histogram(&[("listener", listener.name.as_str())], &listener.durations);
    }
}

/// What the supervisor knows of the files of TLS.
fn certificates(page: &mut Page, certificates: &[CertificateStatus]) {
    let files: Vec<_> = certificates.iter().map(|file| file.file.to_string_lossy()).collect();
    let mut ends = page.family(
        "evenkeel_certificate_not_after_seconds",
        Kind::Gauge,
        "Until when the certificate in force holds, in seconds since 1970-01-01T00:00:00Z.",
    );
    for (certificate, file) in certificates.iter().zip(&files) {
        if let Some(end) = certificate.not_after {
            ends.sample(&[owner(certificate), ("file", file)], end);
        }
    }
    let mut problems = page.family(
        "evenkeel_certificate_problem",
        Kind::Gauge,
        "1 when the file cannot be used, or the certificate does not hold now.",
    );
    for (certificate, file) in certificates.iter().zip(&files) {
        let labels = [owner(certificate), ("file", file)];
        problems.sample(&labels, u8::from(certificate.problem.is_some()));
    }
}

/// Whose certificate it is.
fn owner(certificate: &CertificateStatus) -> (&'static str, &str) {
    match (&certificate.listener, &certificate.pool) {
        (None, Some(pool)) => ("pool", pool),
        (listener, _) => ("listener", listener.as_deref().unwrap_or_default()),
    }
}

/// Only listeners with TLS have samples.
fn handshakes(page: &mut Page, listeners: &[ListenerSnapshot]) {
    let secured = || listeners.iter().filter_map(|listener| Some((listener, listener.tls.as_ref()?)));
    let simple: [Simple<TlsSnapshot>; 4] = [
        ("evenkeel_listener_tls_handshakes", Kind::Gauge, "TLS handshakes under way.", |tls| {
            tls.handshakes.into()
        }),
        ("evenkeel_listener_tls_handshakes_limit", Kind::Gauge, "How many may be under way.", |tls| {
            tls.max_handshakes.into()
        }),
        (
            "evenkeel_listener_tls_handshakes_total",
            Kind::Counter,
            "TLS handshakes that went well, resumed ones included.",
            |tls| tls.handshakes_total,
        ),
        (
            "evenkeel_listener_tls_resumed_total",
            Kind::Counter,
            "TLS handshakes that resumed a session.",
            |tls| tls.resumed_total,
        ),
    ];
    page.simple(&simple, &secured().map(|(listener, tls)| (named(listener).0, tls)));
    let mut failures = page.family(
        "evenkeel_listener_tls_failures_total",
        Kind::Counter,
        "TLS handshakes that came to nothing, by reason.",
    );
    for (listener, tls) in secured() {
        for (reason, count) in &tls.failures_total {
            failures.sample(&[("listener", listener.name.as_str()), ("reason", reason)], count);
        }
    }
}

fn pools(page: &mut Page, pools: &[PoolSnapshot]) {
    let simple: [Simple<PoolSnapshot>; 10] = [
        ("evenkeel_pool_requests_total", Kind::Counter, "Requests routed to the pool.", |pool| {
            pool.requests_total
        }),
        (
            "evenkeel_pool_retries_total",
            Kind::Counter,
            "Requests sent a second time because a server failed under them.",
            |pool| pool.retries_total,
        ),
        (
            "evenkeel_pool_retries_denied_total",
            Kind::Counter,
            "Requests not sent a second time because the retry budget was used up.",
            |pool| pool.retries_denied_total,
        ),
        (
            "evenkeel_pool_all_down",
            Kind::Gauge,
            "1 while the health checks of all servers of the pool fail.",
            |pool| pool.all_down.is_some().into(),
        ),
        ("evenkeel_pool_queue_length", Kind::Gauge, "Requests, or TCP connections, waiting now.", |pool| {
            pool.queue.length
        }),
        ("evenkeel_pool_queue_limit", Kind::Gauge, "How many may wait at once.", |pool| pool.queue.limit),
        ("evenkeel_pool_queued_total", Kind::Counter, "How many had to wait.", |pool| {
            pool.queue.queued_total
        }),
        (
            "evenkeel_pool_queue_refused_total",
            Kind::Counter,
            "Refused at once because as many waited as may.",
            |pool| pool.queue.refused_total,
        ),
        (
            "evenkeel_pool_queue_timeouts_total",
            Kind::Counter,
            "Refused after they had waited as long as they may.",
            |pool| pool.queue.timed_out_total,
        ),
        (
            "evenkeel_pool_queue_left_total",
            Kind::Counter,
            "Whose client went away while they waited.",
            |pool| pool.queue.left_total,
        ),
    ];
    page.simple(&simple, &pools.iter().map(|pool| ([("pool", pool.name.as_str())], pool)));
    let mut waits = page.family(
        "evenkeel_pool_queue_seconds",
        Kind::Histogram,
        "How long those waited that had to, however their wait ended.",
    );
    for pool in pools {
        waits.histogram(&[("pool", pool.name.as_str())], &pool.queue.waits);
    }
}

/// Only sticky pools have the family's samples.
fn sticky(page: &mut Page, pools: &[PoolSnapshot]) {
    let mut family = page.family(
        "evenkeel_pool_sticky_requests_total",
        Kind::Counter,
        "Requests to a sticky pool that a server answered, by what became of their cookie.",
    );
    for pool in pools {
        for (outcome, count) in pool.sticky.iter().flatten() {
            family.sample(&[("pool", pool.name.as_str()), ("outcome", outcome)], count);
        }
    }
}

/// Only pools whose servers may be spoken to with HTTP/2 have the family's samples.
fn calls(page: &mut Page, pools: &[PoolSnapshot]) {
    let mut family = page.family(
        "evenkeel_pool_grpc_calls_total",
        Kind::Counter,
        "Calls of gRPC that a server answered, by their status.",
    );
    for pool in pools {
        for (status, count) in pool.grpc_total.iter().flatten() {
            family.sample(&[("pool", pool.name.as_str()), ("status", status)], count);
        }
    }
}

fn servers(page: &mut Page, pools: &[PoolSnapshot]) {
    let simple: [Simple<ServerSnapshot>; 9] = [
        ("evenkeel_server_running", Kind::Gauge, "Requests, or TCP connections, under way.", |server| {
            server.running
        }),
        (
            "evenkeel_server_requests_total",
            Kind::Counter,
            "Requests, or TCP connections, sent to the server.",
            |server| server.total,
        ),
        (
            "evenkeel_server_connect_failures_total",
            Kind::Counter,
            "Connections that could not be opened.",
            |server| server.connect_failures_total,
        ),
        (
            "evenkeel_server_failures_total",
            Kind::Counter,
            "Requests that failed after a connection was open.",
            |server| server.failures_total,
        ),
        ("evenkeel_server_opened_total", Kind::Counter, "Connections opened.", |server| server.opened_total),
        (
            "evenkeel_server_reused_total",
            Kind::Counter,
            "Requests that went over a connection that had been used before.",
            |server| server.reused_total,
        ),
        ("evenkeel_server_idle_connections", Kind::Gauge, "Unused connections kept.", |server| server.idle),
        (
            "evenkeel_server_multiplexed_connections",
            Kind::Gauge,
            "Open connections of HTTP/2, each for many requests.",
            |server| server.multiplexed,
        ),
        ("evenkeel_server_weight", Kind::Gauge, "The weight in force.", |server| server.weight.into()),
    ];
    let each = || pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
    page.simple(&simple, &each().map(|(pool, server)| (server_labels(pool, server), server)));
    let mut states = page.family(
        "evenkeel_server_state",
        Kind::Gauge,
        "1 for the state that the server is in, 0 for the others.",
    );
    for (pool, server) in each() {
        let [of_pool, of_server] = server_labels(pool, server);
        for state in SERVER_STATES {
            states.sample(&[of_pool, of_server, ("state", state)], u8::from(server.state == state));
        }
    }
    let mut first_byte = page.family(
        "evenkeel_server_first_byte_seconds",
        Kind::Histogram,
        "From a request, sent on an open connection, to the head of its answer.",
    );
    for (pool, server) in each() {
        first_byte.histogram(&server_labels(pool, server), &server.first_byte);
    }
}

/// A listener with its label.
fn named(listener: &ListenerSnapshot) -> ([(&'static str, &str); 1], &ListenerSnapshot) {
    ([("listener", listener.name.as_str())], listener)
}

fn server_labels<'l>(pool: &'l PoolSnapshot, server: &'l ServerSnapshot) -> [(&'static str, &'l str); 2] {
    [("pool", pool.name.as_str()), ("server", server.name.as_str())]
}
