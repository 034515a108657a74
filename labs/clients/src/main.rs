//! What `cargo xtask clients-lab` puts before and behind Evenkeel, where the clients of a distribution do not reach: tonic's client
//! and server for gRPC, and tokio-tungstenite's for WebSocket.
//!
//! A client prints a line for each check, `ok NAME NUMBER` or `failed NAME: WHY`, where NUMBER is what it has counted, and
//! `server PROTOCOL`, which is what the server says it was spoken to with. It ends with 1 if a check has failed.

mod checks;
mod grpc;
mod secure;
mod serve;
mod websocket;

use std::process::ExitCode;

use checks::Wrong;

const USAGE: &str = "\
usage: clients-lab serve PAGE CERTIFICATE KEY GRPC GRPC-TLS WEBSOCKET WEBSOCKET-H2 WEBSOCKET-H2-TLS
                                           servers on these ports; says `ready` when all of them listen
       clients-lab grpc ADDRESS CA SERVER  gRPC through the balancer; SERVER is its server's own address, without TLS
       clients-lab websocket h1|h2 ADDRESS CA
                                           WebSocket through the balancer";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(code) => code,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<ExitCode, Wrong> {
    match *arguments {
        ["serve", page, certificate, key, ref ports @ ..] => {
            let ports: Vec<u16> = ports.iter().map(|port| port.parse()).collect::<Result<_, _>>()?;
            let ports = <[u16; 5]>::try_from(ports).map_err(|_| USAGE)?;
            serve::run(page, certificate, key, ports).await?;
            Ok(ExitCode::SUCCESS)
        }
        ["grpc", address, authority, server] => grpc::client::run(address, authority, server).await,
        ["websocket", version, address, authority] => {
            websocket::client::run(version, address, authority).await
        }
        _ => Err(USAGE.into()),
    }
}
