//! One check of one server over the network, whatever it asks, within its time.

use evenkeel_config::plan::{Probe, ProbeKind, SendProxy};
use evenkeel_traffic::address::Address;

use super::{http, tcp};
use crate::announce;
use crate::stream::Stream;
use crate::table::Server;
use crate::tls::connector::Speaks;

/// Bytes of an answer that are looked at.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// Asks once; the error is the sentence for the operator.
pub(super) async fn ask(
    server: &Server,
    probe: &Probe,
    address: &Address,
    announce: Option<SendProxy>,
) -> Result<(), String> {
    let patience = probe.timing.timeout;
    // What it was doing when time was up.
    let mut step = format!("cannot connect to {address}");
    let work = async {
        let mut stream = Stream::connect(address)
            .await
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        announce::tell_of_check(&mut stream, probe, announce)
            .await
            .map_err(|error| format!("cannot send the PROXY header to {address}: {error}"))?;
        if let Some(tls) = server.tls.as_ref().filter(|_| probe.tls) {
            step = format!("no TLS with {address}");
            let (host, speaks) = match &probe.kind {
                ProbeKind::Http(http) => (http.host.as_deref().map_or(&[][..], host_only), Speaks::Http),
                _ => (&[][..], Speaks::Anything),
            };
            let shaken = tls.connect(stream, host, speaks).await;
            stream = shaken.map_err(|failed| format!("no TLS with {address}: {}", failed.why))?.0;
        }
        step = format!("no whole answer from {address}");
        match &probe.kind {
            ProbeKind::Tcp(dialogue) => tcp::ask(&mut stream, dialogue).await,
            ProbeKind::Http(request) => http::ask(&mut stream, request, &server.host).await,
            ProbeKind::Grpc(_) => Err(String::new()),
            // Asks nobody over the network.
            ProbeKind::Exec(_) => Ok(()),
        }
    };
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(format!("{step} within {patience:?}")),
    }
}

/// A value of `Host` without its port.
fn host_only(host: &str) -> &[u8] {
    let end = match host.rfind(':') {
        // The colons of an address in brackets are no port's.
        Some(colon) if !host[colon..].contains(']') => colon,
        _ => host.len(),
    };
    &host.as_bytes()[..end]
}

/// Says whether `text` is somewhere in `bytes`.
pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}
