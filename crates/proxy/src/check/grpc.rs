//! A check that calls `grpc.health.v1.Health/Check`.

use evenkeel_config::plan::GrpcProbe;
use evenkeel_http::grpc::{self, health};
use evenkeel_http::head::Method;
use tokio::io::AsyncWriteExt;

use super::http::Answer;
use crate::stream::Stream;

/// Calls over a new connection of HTTP/2; `host` stands in for a `host` that is not given.
pub(super) async fn ask(stream: &mut Stream, probe: &GrpcProbe, host: &str) -> Result<(), String> {
    let message = grpc::wrap(&health::request(&probe.service));
    let host = probe.host.as_deref().unwrap_or(host);
    let mut request = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\
         User-Agent: Evenkeel health check\r\nContent-Length: {}\r\n\r\n",
        health::PATH,
        message.len()
    )
    .into_bytes();
    request.extend_from_slice(&message);
    let sent = stream.write_all(&request).await;
    sent.map_err(|error| format!("the connection broke while the call was sent: {error}"))?;
    let mut answer = Answer::of(stream);
    let head = answer.head(Method::Other).await?;
    if head.status != 200 {
        return Err(format!("it answered {} to {}", head.status, health::PATH));
    }
    let content = answer.content(&head).await?;
    let status = stream.translated().and_then(|stream| stream.grpc_status());
    match status.map(grpc::Status::name) {
        Some("OK") => {}
        Some("UNIMPLEMENTED") => return Err("it has no gRPC health service".into()),
        Some(name) => return Err(format!("its gRPC health service answered {name}")),
        None => return Err("its answer has no `grpc-status`: it does not speak gRPC".into()),
    }
    match grpc::unwrap(&content).and_then(health::response) {
        Some(health::Serving::Serving) => Ok(()),
        Some(other) => Err(format!("its gRPC health service says {}", other.name())),
        None => Err("the message of its gRPC health service could not be understood".into()),
    }
}
