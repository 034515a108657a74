//! What was measured, as a table for people and as raw numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Plan;
use super::memory::Memory;
use super::peers::Peer;

/// What one turn cost.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    /// CPU time of the proxy.
    pub(super) nanos: u64,
    /// What of it the program spent itself, outside the kernel.
    pub(super) own_nanos: u64,
    pub(super) requests: u64,
    /// What went wrong, in wrk's words.
    pub(super) failures: String,
}

impl Cost {
    /// CPU time of one request, in microseconds.
    pub(super) fn micros(&self) -> f64 {
        self.nanos as f64 / self.requests as f64 / 1000.0
    }

    /// The part of it that the program spent itself, outside the kernel.
    pub(super) fn own_micros(&self) -> f64 {
        self.own_nanos as f64 / self.requests as f64 / 1000.0
    }
}

/// All turns of one workload.
#[derive(Debug)]
pub(super) struct Row {
    name: &'static str,
    target: f64,
    turns: BTreeMap<Peer, Vec<Cost>>,
}

impl Row {
    pub(super) fn new(name: &'static str, target: f64) -> Self {
        Self { name, target, turns: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, peer: Peer, cost: Cost) {
        self.turns.entry(peer).or_default().push(cost);
    }

    fn micros(&self, peer: Peer) -> Vec<f64> {
        self.turns.get(&peer).into_iter().flatten().map(Cost::micros).collect()
    }

    fn own_micros(&self, peer: Peer) -> Vec<f64> {
        self.turns.get(&peer).into_iter().flatten().map(Cost::own_micros).collect()
    }

    /// The ratio to a HAProxy, turn by turn.
    fn ratios(&self, peer: Peer, to: Peer) -> Vec<f64> {
        self.micros(peer).iter().zip(self.micros(to)).map(|(ours, theirs)| ours / theirs).collect()
    }

    /// The HAProxy that the aims are about: the other one, if there is one.
    fn measure(&self) -> Peer {
        if self.turns.contains_key(&Peer::OtherHaProxy) { Peer::OtherHaProxy } else { Peer::HaProxy }
    }

    fn failures(&self) -> Vec<String> {
        let each = self.turns.iter().flat_map(|(peer, costs)| {
            costs.iter().filter(|cost| !cost.failures.is_empty()).map(move |cost| (peer, &cost.failures))
        });
        each.map(|(peer, what)| format!("{}: {}: {what}", self.name, peer.name())).collect()
    }
}

/// Median, least and most of some values.
fn spread(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some((median, least, most))
}

fn shown_spread(values: Vec<f64>) -> String {
    spread(values)
        .map_or_else(|| "–".into(), |(median, least, most)| format!("{median:.2} ({least:.2}–{most:.2})"))
}

/// Prints the report, and keeps it with its raw numbers unless the run was a quick or partial one.
pub(super) fn write(
    root: &Path,
    rows: &[Row],
    memory: &[Memory],
    versions: &[String],
    plan: &Plan,
) -> Result<(), String> {
    let machine = machine();
    let text = text(rows, memory, versions, &machine, plan);
    println!("{text}");
    if plan.quick || plan.only.is_some() {
        return Ok(());
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let raw = raw(rows, memory, versions, &machine, plan, at);
    let keep = || {
        std::fs::create_dir_all(root.join("bench/raw"))?;
        std::fs::write(root.join("bench/RESULTS.md"), &text)?;
        std::fs::write(root.join(format!("bench/raw/{at}.json")), format!("{raw:#}\n"))
    };
    keep().map_err(|error| format!("the report cannot be written: {error}"))
}

fn text(rows: &[Row], memory: &[Memory], versions: &[String], machine: &str, plan: &Plan) -> String {
    let mut text = format!(
        "# What a request costs\n\n\
         CPU time of the proxy for each request, in microseconds: median (least–most) of {} turns of {} s. The ratio is \
         taken turn by turn. One worker on one core; the load (wrk, h2load, our own for whole handshakes) and two nginx servers on the other; loopback.\n\n\
         Machine: {machine}. Compared: {}.\n\n\
         | workload | HAProxy µs | other HAProxy µs | nginx µs | Evenkeel µs | Evenkeel / HAProxy | Evenkeel / other \
         HAProxy | aim | met |\n|---|---|---|---|---|---|---|---|---|\n",
        plan.turns,
        plan.seconds,
        versions.join(", ")
    );
    for row in rows {
        let ratio = spread(row.ratios(Peer::Evenkeel, row.measure())).map_or(f64::NAN, |(median, ..)| median);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | ≤ {:.2} | {} |",
            row.name,
            shown_spread(row.micros(Peer::HaProxy)),
            shown_spread(row.micros(Peer::OtherHaProxy)),
            shown_spread(row.micros(Peer::Nginx)),
            shown_spread(row.micros(Peer::Evenkeel)),
            shown_spread(row.ratios(Peer::Evenkeel, Peer::HaProxy)),
            shown_spread(row.ratios(Peer::Evenkeel, Peer::OtherHaProxy)),
            row.target,
            if ratio <= row.target { "yes" } else { "no" }
        );
    }
    text.push_str(&own_text(rows));
    if !memory.is_empty() {
        text.push_str(
            "\n| memory | at start, 2 workers, all processes (PSS) | an idle connection after one request (RSS) | the \
             same over TLS |\n|---|---|---|---|\n",
        );
        for one in memory {
            let _ = writeln!(
                text,
                "| {} | {:.1} MiB | {:.2} KiB | {:.2} KiB |",
                one.peer.name(),
                one.at_start_kib as f64 / 1024.0,
                one.per_connection as f64 / 1024.0,
                one.per_tls_connection as f64 / 1024.0
            );
        }
        text.push_str("\nAims for Evenkeel: at most 14 MiB, at most 1.25 KiB, and over TLS at most 8 KiB.\n");
    }
    text.push_str(
        "\nThe aims are about the other HAProxy where one took part (`--haproxy PROGRAM`).\n\nThe access logs of all go to files: Evenkeel's as JSON, HAProxy's as `option httplog` over its standard \
         output, nginx's as `combined`.\n",
    );
    let failures: Vec<String> = rows.iter().flat_map(Row::failures).collect();
    if !failures.is_empty() {
        let _ = writeln!(text, "\nNot all went well:\n\n- {}", failures.join("\n- "));
    }
    text
}

/// The share of the programs themselves: no program can save what the kernel needs to receive and send.
fn own_text(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n## What of it is spent outside the kernel\n\n\
         The rest goes into system calls, most of it into TCP on loopback, which costs the programs about the same.\n\n\
         | workload | HAProxy µs | other HAProxy µs | nginx µs | Evenkeel µs |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let of = |peer| shown_spread(row.own_micros(peer));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.name,
            of(Peer::HaProxy),
            of(Peer::OtherHaProxy),
            of(Peer::Nginx),
            of(Peer::Evenkeel)
        );
    }
    text
}

fn raw(rows: &[Row], memory: &[Memory], versions: &[String], machine: &str, plan: &Plan, at: u64) -> Value {
    let turns = |row: &Row| -> Value {
        row.turns
            .iter()
            .map(|(peer, costs)| {
                let costs: Vec<Value> = costs
                    .iter()
                    .map(|cost| {
                        json!({ "cpu_ns": cost.nanos, "own_ns": cost.own_nanos, "requests": cost.requests, "failures": cost.failures })
                    })
                    .collect();
                (peer.name().to_owned(), Value::from(costs))
            })
            .collect()
    };
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "workload": row.name, "target": row.target, "turns": turns(row) }))
        .collect();
    let memory: Vec<Value> = memory
        .iter()
        .map(|one| {
            json!({
                "peer": one.peer.name(),
                "at_start_pss_kib": one.at_start_kib,
                "per_connection_bytes": one.per_connection,
                "per_tls_connection_bytes": one.per_tls_connection,
            })
        })
        .collect();
    json!({
        "at": at,
        "machine": machine,
        "versions": versions,
        "seconds": plan.seconds,
        "rows": rows,
        "memory": memory,
    })
}

/// Processor and kernel.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = processors.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown processor".into());
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: String = kernel.trim().split('-').next().unwrap_or_default().into();
    format!("{model}, {count} cores, Linux {kernel}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(micros: u64) -> Cost {
        Cost {
            nanos: micros * 1000 * 10,
            own_nanos: micros * 1000 * 5,
            requests: 10,
            failures: String::new(),
        }
    }

    #[test]
    fn ratios_are_taken_turn_by_turn() {
        let mut row = Row::new("load", 0.5);
        for (theirs, ours) in [(10, 8), (20, 8), (10, 5)] {
            row.add(Peer::HaProxy, cost(theirs));
            row.add(Peer::Evenkeel, cost(ours));
        }
        let ratios = row.ratios(Peer::Evenkeel, row.measure());
        assert_eq!(ratios, [0.8, 0.4, 0.5]);
        assert_eq!(spread(ratios), Some((0.5, 0.4, 0.8)));
        assert_eq!(shown_spread(row.ratios(Peer::Nginx, Peer::HaProxy)), "–");
        assert_eq!(spread(vec![4.0, 1.0]), Some((2.5, 1.0, 4.0)));
    }

    #[test]
    fn an_aim_that_is_missed_is_said() {
        let mut row = Row::new("load", 0.5);
        row.add(Peer::HaProxy, cost(10));
        row.add(Peer::Evenkeel, cost(6));
        let plan = Plan { turns: 1, seconds: 1, only: None, quick: true, haproxy: None };
        let text = text(&[row], &[], &[], "a machine", &plan);
        assert!(
            text.contains("| load | 10.00 (10.00–10.00) | – | – | 6.00 (6.00–6.00) | 0.60 (0.60–0.60) | – | ≤ 0.50 | no |"),
            "{text}"
        );
        assert!(text.contains("| load | 5.00 (5.00–5.00) | – | – | 3.00 (3.00–3.00) |"), "{text}");
    }
}
