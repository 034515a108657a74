//! Sums of snapshots: what several processes have counted, one after the other or at the same time.
//!
//! Invariant: what is counted for ever never falls when another process takes over, as long as listener, pool and server keep
//! their names (and the server its address).

use std::collections::BTreeMap;

use super::{
    HistogramSnapshot, ListenerSnapshot, PoolSnapshot, QueueSnapshot, ServerSnapshot, ServerTlsSnapshot,
    Snapshot, TlsSnapshot,
};

impl Snapshot {
    /// Adds what another process has counted of what is here.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        for listener in &mut self.listeners {
            if let Some(other) = other.listeners.iter().find(|other| other.name == listener.name) {
                listener.add(other);
            }
        }
        for pool in &mut self.pools {
            if let Some(other) = other.pools.iter().find(|other| other.name == pool.name) {
                pool.add(other);
            }
        }
        for log in &mut self.logs {
            if let Some(other) = other.logs.iter().find(|other| other.to == log.to) {
                log.lines_total += other.lines_total;
                log.dropped_total += other.dropped_total;
            }
        }
    }

    /// Adds what another process has counted, also of what is not here.
    pub fn absorb(&mut self, other: &Self) {
        self.add(other);
        self.workers = other.workers;
        let new = |listener: &&ListenerSnapshot| !self.listeners.iter().any(|one| one.name == listener.name);
        let new: Vec<_> = other.listeners.iter().filter(new).cloned().collect();
        self.listeners.extend(new);
        for pool in &other.pools {
            match self.pools.iter_mut().find(|one| one.name == pool.name) {
                None => self.pools.push(pool.clone()),
                Some(known) => {
                    let new = |server: &&ServerSnapshot| !known.servers.iter().any(|one| one.is(server));
                    let new: Vec<_> = pool.servers.iter().filter(new).cloned().collect();
                    known.servers.extend(new);
                }
            }
        }
        let new: Vec<_> =
            other.logs.iter().filter(|log| !self.logs.iter().any(|one| one.to == log.to)).cloned().collect();
        self.logs.extend(new);
    }

    /// What is left when the process has ended: counts, and nothing that is now.
    #[must_use]
    pub fn of_the_past(mut self) -> Self {
        self.connections = 0;
        for listener in &mut self.listeners {
            listener.connections = 0;
            if let Some(tls) = &mut listener.tls {
                tls.handshakes = 0;
            }
        }
        for pool in &mut self.pools {
            pool.queue.length = 0;
            for server in &mut pool.servers {
                (server.running, server.idle, server.multiplexed) = (0, 0, 0);
            }
        }
        self
    }
}

impl ListenerSnapshot {
    fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.connections_total += other.connections_total;
        self.requests_total += other.requests_total;
        self.refused_total += other.refused_total;
        add_all(&mut self.responses_total, &other.responses_total);
        add_all(&mut self.answers_total, &other.answers_total);
        self.bytes_in_total += other.bytes_in_total;
        self.bytes_out_total += other.bytes_out_total;
        self.latency.add(&other.latency);
        self.durations.add(&other.durations);
        self.proxy_headers_refused_total += other.proxy_headers_refused_total;
        self.silent_total += other.silent_total;
        self.slow_readers_total += other.slow_readers_total;
        self.http2.connections_total += other.http2.connections_total;
        self.http2.streams_total += other.http2.streams_total;
        add_all(&mut self.http2.floods_total, &other.http2.floods_total);
        if let (Some(tls), Some(other)) = (&mut self.tls, &other.tls) {
            tls.add(other);
        }
    }
}

impl TlsSnapshot {
    fn add(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.handshakes_total += other.handshakes_total;
        self.resumed_total += other.resumed_total;
        add_all(&mut self.failures_total, &other.failures_total);
    }
}

impl PoolSnapshot {
    fn add(&mut self, other: &Self) {
        self.requests_total += other.requests_total;
        self.retries_total += other.retries_total;
        self.retries_denied_total += other.retries_denied_total;
        if let (Some(sticky), Some(other)) = (&mut self.sticky, &other.sticky) {
            add_all(sticky, other);
        }
        if let (Some(statuses), Some(other)) = (&mut self.grpc_total, &other.grpc_total) {
            add_all(statuses, other);
        }
        self.queue.add(&other.queue);
        for server in &mut self.servers {
            if let Some(other) = other.servers.iter().find(|other| server.is(other)) {
                server.add(other);
            }
        }
    }
}

impl QueueSnapshot {
    fn add(&mut self, other: &Self) {
        self.length += other.length;
        self.queued_total += other.queued_total;
        self.refused_total += other.refused_total;
        self.timed_out_total += other.timed_out_total;
        self.left_total += other.left_total;
        self.waits.add(&other.waits);
    }
}

impl ServerSnapshot {
    /// At another address it is another server.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.address == other.address
    }

    fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.total += other.total;
        self.connect_failures_total += other.connect_failures_total;
        self.failures_total += other.failures_total;
        self.opened_total += other.opened_total;
        self.reused_total += other.reused_total;
        if let (Some(tls), Some(other)) = (&mut self.tls, &other.tls) {
            tls.add(other);
        }
        self.idle += other.idle;
        self.multiplexed += other.multiplexed;
        self.first_byte.add(&other.first_byte);
        if self.last_failure.is_none() {
            self.last_failure.clone_from(&other.last_failure);
        }
    }
}

impl ServerTlsSnapshot {
    fn add(&mut self, other: &Self) {
        self.handshakes_total += other.handshakes_total;
        self.resumed_total += other.resumed_total;
        add_all(&mut self.failures_total, &other.failures_total);
    }
}

impl HistogramSnapshot {
    fn add(&mut self, other: &Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket = bucket.wrapping_add(other);
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }
}

fn add_all(sums: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, count) in others {
        *sums.entry(name.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(pool: &str, server: &str, total: u64) -> Snapshot {
        let server = ServerSnapshot {
            name: server.parse().unwrap(),
            address: "192.0.2.1:80".parse().unwrap(),
            state: "up".into(),
            why: None,
            since: None,
            weight: 1,
            running: 2,
            total,
            connect_failures_total: 0,
            failures_total: 0,
            opened_total: 0,
            reused_total: 0,
            tls: None,
            idle: 3,
            multiplexed: 1,
            first_byte: HistogramSnapshot { nanos: 5, ..HistogramSnapshot::default() },
            last_failure: None,
        };
        let pool = PoolSnapshot {
            name: pool.parse().unwrap(),
            balance: "round-robin".into(),
            requests_total: total,
            retries_total: 0,
            retries_denied_total: 0,
            all_down: None,
            sticky: None,
            grpc_total: None,
            queue: QueueSnapshot::default(),
            servers: vec![server],
        };
        Snapshot { connections: 7, pools: vec![pool], ..Snapshot::default() }
    }

    #[test]
    fn counts_go_on_and_what_is_now_does_not() {
        let mut now = snapshot("a", "s1", 10);
        now.add(&snapshot("a", "s1", 32).of_the_past());
        let server = &now.pools[0].servers[0];
        assert_eq!((server.total, server.running, server.idle, server.first_byte.nanos), (42, 2, 3, 10));
        assert_eq!((now.pools[0].requests_total, now.connections), (42, 7));
        // A process that lives still has something now.
        now.add(&snapshot("a", "s1", 1));
        assert_eq!((now.connections, now.pools[0].servers[0].running), (14, 4));
    }

    #[test]
    fn what_is_gone_is_not_shown_but_not_forgotten_either() {
        let mut past = snapshot("a", "s1", 10).of_the_past();
        past.absorb(&snapshot("b", "s1", 5).of_the_past());
        past.absorb(&snapshot("a", "s2", 3).of_the_past());
        assert_eq!(past.pools.iter().map(|pool| pool.servers.len()).collect::<Vec<_>>(), [2, 1]);
        let mut now = snapshot("b", "s1", 1);
        now.add(&past);
        assert_eq!(now.pools.len(), 1);
        assert_eq!(now.pools[0].servers[0].total, 6);
    }
}
