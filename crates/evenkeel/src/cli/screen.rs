//! The status as one screen of text.

mod pair;
mod sources;
mod virtual_routers;

use std::fmt::Write;

use evenkeel_admin::message::{CertificateStatus, Phase, RoleState, RoleStatus, Status};
use evenkeel_proxy::message::{
    ListenerSnapshot, LogSnapshot, PoolSnapshot, QueueSnapshot, ServerSnapshot, Snapshot,
};
use evenkeel_traffic::sticky::Outcome;

/// Draws the whole screen.
pub(super) fn draw(status: &Status) -> String {
    let mut text = head(status);
    text.push_str("\nROLES\n");
    text.push_str(&table(&["NAME", "STATE", "PID", "FOR", "RESTARTS", "WHY"], status.roles.iter().map(role)));
    if let Some(known) = &status.virtual_routers {
        text.push_str(&virtual_routers::draw(known, status.since.saturating_add(status.uptime)));
    }
    if let Some(pair) = &status.pair {
        text.push_str(&pair::draw(pair, status.since.saturating_add(status.uptime)));
    }
    match &status.traffic {
        Some(traffic) => {
            let now = status.since.saturating_add(status.uptime);
            text.push_str(&draw_listeners(traffic));
            text.push_str(&draw_certificates(&status.certificates));
            text.push_str(&sources::draw(&status.sources, now));
            text.push_str(&draw_traffic(traffic, now));
        }
        None => {
            let why = status.traffic_missing.as_deref().unwrap_or("it does not answer");
            let _ =
                writeln!(text, "\nlisteners and pools are not shown, the proxy role cannot be asked: {why}");
        }
    }
    text
}

fn head(status: &Status) -> String {
    let phase = match status.phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Reloading => "reloading",
        Phase::Stopping => "stopping",
    };
    let mut text = format!(
        "Evenkeel {}: {phase} for {}, pid {}\nconfiguration: {}, plan {}\n",
        status.version,
        duration(status.uptime),
        status.pid,
        status.config.display(),
        status.revision
    );
    if let Some(reload) = &status.last_reload {
        let now = status.since.saturating_add(status.uptime);
        let _ =
            writeln!(text, "last reload: {} ago: {}", duration(now.saturating_sub(reload.at)), reload.what);
    }
    if let Some(trial) = &status.trial {
        text.push_str(&super::reload::on_trial(trial));
    }
    if let Some(upgrade) = &status.last_upgrade {
        let now = status.since.saturating_add(status.uptime);
        let ago = duration(now.saturating_sub(upgrade.at));
        let _ = writeln!(text, "last upgrade: {ago} ago: {}", upgrade.what);
    }
    for old in &status.old_generations {
        let left = match old.left {
            Some(left) => format!("ends within {}", duration(left)),
            None => "serves still".to_owned(),
        };
        let _ = writeln!(
            text,
            "generation {} (Evenkeel {}, pid {}): {} connections, {left}",
            old.generation, old.version, old.pid, old.connections
        );
    }
    for alarm in &status.alarms {
        let _ = writeln!(text, "alarm: {alarm}");
    }
    if !status.runtime_changes.is_empty() {
        let kept = match &status.state_dir {
            Some(directory) => format!("kept in {}", directory.display()),
            None => "they end with the program: set `global.state-dir`".to_owned(),
        };
        let _ = writeln!(text, "runtime changes: {} ({kept})", status.runtime_changes.len());
        text.push_str(&super::diff::runtime_changes(&status.runtime_changes));
    }
    if let Some(traffic) = &status.traffic {
        let _ = writeln!(
            text,
            "connections: {} of {} ({}), {} workers",
            traffic.connections, traffic.max_connections, status.max_connections_from, traffic.workers
        );
    }
    text
}

fn role(role: &RoleStatus) -> Vec<String> {
    let state = match role.state {
        RoleState::Starting => "starting",
        RoleState::Running => "running",
        RoleState::Waiting => "waiting",
        RoleState::Ended => "ended",
    };
    let why = match (&role.last_end, role.state) {
        (None, _) => "-".to_owned(),
        (Some(end), RoleState::Waiting) => format!("is started again after a pause: {end}"),
        (Some(end), _) => format!("before, {end}"),
    };
    vec![
        role.name.clone(),
        state.into(),
        role.pid.map_or("-".into(), |pid| pid.to_string()),
        role.uptime.map_or("-".into(), duration),
        role.restarts.to_string(),
        why,
    ]
}

/// Nothing where there is no TLS.
fn draw_certificates(certificates: &[CertificateStatus]) -> String {
    if certificates.is_empty() {
        return String::new();
    }
    let row = |certificate: &CertificateStatus| {
        let names = match certificate.names.as_slice() {
            [] => "-".into(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} and {} further", rest.len()),
        };
        vec![
            match (&certificate.listener, &certificate.pool) {
                (None, Some(pool)) => format!("pool {pool}"),
                (listener, _) => listener.clone().unwrap_or_else(|| "-".into()),
            },
            certificate.file.display().to_string(),
            certificate.algorithm.clone().unwrap_or_else(|| "-".into()),
            names,
            certificate.not_after.map_or("-".into(), crate::certificates::date),
            certificate.problem.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    let columns = ["LISTENER", "FILE", "KIND", "NAMES", "UNTIL", "PROBLEM"];
    format!("\nCERTIFICATES\n{}", table(&columns, certificates.iter().map(row)))
}

fn draw_listeners(traffic: &Snapshot) -> String {
    let mut text = String::new();
    if traffic.listeners.is_empty() {
        text.push_str("\nno listeners\n");
    } else {
        text.push_str("\nLISTENERS\n");
        let columns = ["NAME", "MODE", "BIND", "CONNECTIONS", "TOTAL", "REQUESTS", "REFUSED"];
        text.push_str(&table(&columns, traffic.listeners.iter().flat_map(listener)));
    }
    text
}

fn draw_traffic(traffic: &Snapshot, now: u64) -> String {
    let mut text = String::new();
    for pool in &traffic.pools {
        text.push_str(&draw_pool(pool, now));
    }
    if !traffic.logs.is_empty() {
        text.push_str("\nACCESS LOGS\n");
        let row = |log: &LogSnapshot| {
            vec![log.to.clone(), log.lines_total.to_string(), log.dropped_total.to_string()]
        };
        text.push_str(&table(&["TO", "LINES", "DROPPED"], traffic.logs.iter().map(row)));
    }
    text
}

/// One line for the first bind with the numbers, one for each further bind.
fn listener(listener: &ListenerSnapshot) -> Vec<Vec<String>> {
    let mut binds = listener.binds.iter().map(ToString::to_string);
    let mut rows = vec![vec![
        listener.name.to_string(),
        listener.mode.clone(),
        binds.next().unwrap_or_default(),
        listener.connections.to_string(),
        listener.connections_total.to_string(),
        listener.requests_total.to_string(),
        listener.refused_total.to_string(),
    ]];
    rows.extend(binds.map(|bind| vec![String::new(), String::new(), bind]));
    rows
}

fn draw_pool(pool: &PoolSnapshot, now: u64) -> String {
    let columns = [
        "SERVER",
        "ADDRESS",
        "STATE",
        "WEIGHT",
        "RUNNING",
        "TOTAL",
        "FAILURES",
        "NOT CONNECTED",
        "IDLE",
        "WHY",
    ];
    let all_down = match pool.all_down.as_deref() {
        None => "",
        Some("try-all") => ": all servers are down, traffic is spread over all of them",
        Some(_) => ": all servers are down, traffic is refused",
    };
    let rows = pool.servers.iter().map(|shown| server(shown, now));
    let traffic = [sticky(pool), retries(pool), queue(&pool.queue)].concat();
    format!("\nPOOL {} ({}){traffic}{all_down}\n{}", pool.name, pool.balance, table(&columns, rows))
}

/// What became of the cookies that clients sent.
fn sticky(pool: &PoolSnapshot) -> String {
    let Some(outcomes) = &pool.sticky else { return String::new() };
    let counts = Outcome::ALL.map(|outcome| {
        let count = outcomes.get(outcome.name()).copied().unwrap_or_default();
        format!("{count} {}", outcome.name())
    });
    format!(", sticky ({})", counts.join(", "))
}

/// Nothing about the queue is worth a word until somebody had to wait, or found no room to.
fn queue(queue: &QueueSnapshot) -> String {
    if (queue.queued_total, queue.refused_total) == (0, 0) {
        return String::new();
    }
    let mut text = format!(", queue {} of {}, {} had to wait", queue.length, queue.limit, queue.queued_total);
    let ends = [
        (queue.refused_total, "found it full"),
        (queue.timed_out_total, "waited too long"),
        (queue.left_total, "left"),
    ];
    for (count, what) in ends.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text
}

/// Nothing about retries is worth a word until there was one.
fn retries(pool: &PoolSnapshot) -> String {
    match (pool.retries_total, pool.retries_denied_total) {
        (0, 0) => String::new(),
        (retries, 0) => format!(", {retries} retries"),
        (retries, denied) => format!(", {retries} retries, {denied} denied by the retry budget"),
    }
}

fn server(server: &ServerSnapshot, now: u64) -> Vec<String> {
    let mut why = Vec::new();
    let since = server.since.map(|since| format!("for {}", duration(now.saturating_sub(since))));
    match (since, &server.why) {
        (Some(since), Some(reason)) => why.push(format!("{since}: {reason}")),
        (Some(since), None) => why.push(since),
        (None, Some(reason)) => why.push(reason.clone()),
        (None, None) => {}
    }
    if server.weight == 0 {
        why.push("weight 0: takes nothing new".to_owned());
    }
    if let Some(failure) = &server.last_failure {
        why.push(format!("last failure: {failure}"));
    }
    if why.is_empty() {
        why.push("-".into());
    }
    vec![
        server.name.to_string(),
        server.address.to_string(),
        server.state.clone(),
        server.weight.to_string(),
        server.running.to_string(),
        server.total.to_string(),
        server.failures_total.to_string(),
        server.connect_failures_total.to_string(),
        server.idle.to_string(),
        why.join("; "),
    ]
}

/// Rows under their headings, each column as wide as its widest cell.
fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut all: Vec<Vec<String>> = vec![headings.iter().map(ToString::to_string).collect()];
    all.extend(rows);
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        text.push_str("  ");
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `3s`, `2m 3s`, `5h 2m`, `4d 5h`: two units are enough.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use evenkeel_admin::message::{LastReload, SourceStatus};
    use evenkeel_proxy::message::HistogramSnapshot;

    use super::*;

    /// A status with a bit of everything.
    pub(in super::super) fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 812,
            since: 1_000_000,
            uptime: 7325,
            generation: 1,
            old_generations: Vec::new(),
            last_upgrade: None,
            phase: Phase::Running,
            config: "/etc/evenkeel/evenkeel.toml".into(),
            revision: 3,
            max_connections_from: "the limit of 1024 open files".into(),
            roles: vec![RoleStatus {
                name: "proxy".into(),
                state: RoleState::Running,
                pid: Some(814),
                uptime: Some(61),
                restarts: 1,
                last_end: Some("it was killed by signal 9".into()),
            }],
            runtime_changes: Vec::new(),
            state_dir: None,
            alarms: Vec::new(),
            sources: vec![SourceStatus {
                pool: "website".parse().unwrap(),
                source: "servers-from".parse().unwrap(),
                from: "dns app.internal:80".into(),
                servers: Some(3),
                most: 256,
                problem: Some("app.internal A: no answer in time".into()),
                problem_since: Some(1_007_305),
                changed_at: Some(1_007_205),
                changes_total: 4,
                looks_total: 90,
                failures_total: 2,
            }],
            trial: None,
            last_reload: Some(LastReload { at: 1_007_200, succeeded: true, what: "2 in force".into() }),
            certificates: vec![CertificateStatus {
                listener: Some("website".into()),
                pool: None,
                file: "/etc/evenkeel/www.pem".into(),
                names: ["example.com", "www.example.com", "*.example.org"].map(Into::into).into(),
                algorithm: Some("ECDSA".into()),
                not_after: Some(1_795_390_384),
                problem: None,
            }],
            traffic: Some(Snapshot {
                revision: 3,
                workers: 2,
                connections: 12,
                max_connections: 236,
                logs: vec![LogSnapshot {
                    to: "/var/log/evenkeel/access.log".into(),
                    lines_total: 9911,
                    dropped_total: 4,
                }],
                departing: Default::default(),
                listeners: vec![ListenerSnapshot {
                    name: "website".parse().unwrap(),
                    binds: vec!["0.0.0.0:80".parse().unwrap(), "[::]:80".parse().unwrap()],
                    mode: "http".into(),
                    connections: 12,
                    connections_total: 4203,
                    requests_total: 9911,
                    refused_total: 3,
                    responses_total: BTreeMap::new(),
                    answers_total: BTreeMap::new(),
                    bytes_in_total: 0,
                    bytes_out_total: 0,
                    latency: HistogramSnapshot::default(),
                    durations: HistogramSnapshot::default(),
                    proxy_headers_refused_total: 0,
                    silent_total: 0,
                    slow_readers_total: 0,
                    http2: Default::default(),
                    tls: None,
                }],
                pools: vec![PoolSnapshot {
                    name: "website".parse().unwrap(),
                    balance: "round-robin".into(),
                    requests_total: 40,
                    retries_total: 8,
                    retries_denied_total: 1,
                    all_down: Some("refuse".into()),
                    sticky: Some(BTreeMap::from(
                        ["kept", "new", "moved", "unknown"].map(|name| (name.into(), 5)),
                    )),
                    grpc_total: None,
                    queue: QueueSnapshot {
                        length: 2,
                        limit: 1000,
                        queued_total: 17,
                        timed_out_total: 3,
                        ..QueueSnapshot::default()
                    },
                    servers: vec![ServerSnapshot {
                        name: "webserver01".parse().unwrap(),
                        address: "192.168.1.2:80".parse().unwrap(),
                        state: "down".into(),
                        why: Some("it answered 500 to GET /healthz".into()),
                        since: Some(1_007_262),
                        weight: 0,
                        running: 1,
                        total: 2,
                        connect_failures_total: 4,
                        failures_total: 3,
                        opened_total: 5,
                        reused_total: 6,
                        idle: 7,
                        multiplexed: 0,
                        tls: None,
                        first_byte: HistogramSnapshot::default(),
                        last_failure: Some("connection refused".into()),
                    }],
                }],
            }),
            traffic_missing: None,
            virtual_routers: None,
            pair: None,
        }
    }

    #[test]
    fn one_screen_says_how_things_are_and_why() {
        let expected = "\
Evenkeel 0.1.0: running for 2h 2m, pid 812
configuration: /etc/evenkeel/evenkeel.toml, plan 3
last reload: 2m 5s ago: 2 in force
connections: 12 of 236 (the limit of 1024 open files), 2 workers

ROLES
  NAME   STATE    PID  FOR    RESTARTS  WHY
  proxy  running  814  1m 1s  1         before, it was killed by signal 9

LISTENERS
  NAME     MODE  BIND        CONNECTIONS  TOTAL  REQUESTS  REFUSED
  website  http  0.0.0.0:80  12           4203   9911      3
                 [::]:80

CERTIFICATES
  LISTENER  FILE                   KIND   NAMES                      UNTIL       PROBLEM
  website   /etc/evenkeel/www.pem  ECDSA  example.com and 2 further  2026-11-22  -

SOURCES
  POOL     SOURCE        FROM                 SERVERS  CHANGED    FAILURES  PROBLEM
  website  servers-from  dns app.internal:80  3        2m 0s ago  2         for 20s: app.internal A: no answer in time

POOL website (round-robin), sticky (5 kept, 5 new, 5 moved, 5 unknown), 8 retries, 1 denied by the retry budget, queue 2 of 1000, 17 had to wait, 3 waited too long: all servers are down, traffic is refused
  SERVER       ADDRESS         STATE  WEIGHT  RUNNING  TOTAL  FAILURES  NOT CONNECTED  IDLE  WHY
  webserver01  192.168.1.2:80  down   0       1        2      3         4              7     for 1m 3s: it answered 500 to GET /healthz; weight 0: takes nothing new; last failure: connection refused

ACCESS LOGS
  TO                            LINES  DROPPED
  /var/log/evenkeel/access.log  9911   4
";
        assert_eq!(draw(&status()), expected);
    }

    #[test]
    fn a_missing_proxy_role_is_explained() {
        let missing = Some("it has just ended".into());
        let text = draw(&Status { traffic: None, traffic_missing: missing, ..status() });
        assert!(text.ends_with(
            "\nlisteners and pools are not shown, the proxy role cannot be asked: it has just ended\n"
        ));
    }
}
