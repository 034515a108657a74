//! Metrics of TLS to servers. Only servers to which it is spoken have samples.

use evenkeel_proxy::message::{PoolSnapshot, ServerTlsSnapshot};

use super::{Kind, Page, Simple, server_labels};

pub(super) fn handshakes(page: &mut Page, pools: &[PoolSnapshot]) {
    let secured = || {
        let servers = pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
        servers.filter_map(|(pool, server)| Some((server_labels(pool, server), server.tls.as_ref()?)))
    };
    let simple: [Simple<ServerTlsSnapshot>; 2] = [
        (
            "evenkeel_server_tls_handshakes_total",
            Kind::Counter,
            "TLS handshakes with the server that went well, resumed ones included; those of checks are not counted.",
            |tls| tls.handshakes_total,
        ),
        (
            "evenkeel_server_tls_resumed_total",
            Kind::Counter,
            "TLS handshakes with the server that resumed a session.",
            |tls| tls.resumed_total,
        ),
    ];
    for (name, kind, help, value) in simple {
        let mut family = page.family(name, kind, help);
        for (labels, tls) in secured() {
            family.sample(&labels, value(tls));
        }
    }
    let mut failures = page.family(
        "evenkeel_server_tls_failures_total",
        Kind::Counter,
        "TLS handshakes with the server that came to nothing, by reason.",
    );
    for ([of_pool, of_server], tls) in secured() {
        for (reason, count) in &tls.failures_total {
            failures.sample(&[of_pool, of_server, ("reason", reason)], count);
        }
    }
}
