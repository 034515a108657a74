//! All servers of the lab in one process.

use std::net::Ipv4Addr;
use std::path::Path;

use tokio::net::TcpListener;
use tonic::transport::Identity;

use crate::checks::Wrong;
use crate::grpc::server::Shared;
use crate::{grpc, secure, websocket};

/// What a server says when it was spoken to with HTTP/1.1, HTTP/2, HTTP/2 over TLS.
pub(crate) const HTTP1: &str = "HTTP/1.1";
pub(crate) const HTTP2: &str = "HTTP/2";
pub(crate) const HTTP2_SECURE: &str = "HTTP/2 over TLS";

/// Serves until the process is ended.
///
/// `page` is a file: what tonic's server answers to whatever is no call, with its HTTP version for `$server_protocol`.
///
/// # Errors
/// A file that cannot be read, a port that is taken, a server that has ended.
pub(crate) async fn run(page: &str, certificate: &str, key: &str, ports: [u16; 5]) -> Result<(), Wrong> {
    let page = std::fs::read_to_string(page)?;
    let identity = Identity::from_pem(std::fs::read(certificate)?, std::fs::read(key)?);
    let acceptor = secure::acceptor(Path::new(certificate), Path::new(key), "h2")?;
    let [calls, calls_secure, upgrades, streams, streams_secure] = ports;
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let shared = Shared::new(page).await;
    let calls = grpc::server::serve(listen(calls).await?, None, shared.clone(), HTTP2);
    let calls_secure = grpc::server::serve(listen(calls_secure).await?, Some(identity), shared, HTTP2_SECURE);
    let upgrades = websocket::server::upgrades(listen(upgrades).await?, HTTP1);
    let streams = websocket::server::streams(listen(streams).await?, None, HTTP2);
    let streams_secure =
        websocket::server::streams(listen(streams_secure).await?, Some(acceptor), HTTP2_SECURE);
    println!("ready");
    tokio::try_join!(calls, calls_secure, upgrades, streams, streams_secure)?;
    Ok(())
}
