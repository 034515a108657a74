//! `cargo xtask clients-lab`: the clients that people use, through the release build: HTTP/1.1 and HTTP/2 on either side,
//! plain and over TLS; and the page of the guide with what came of it.
//!
//! Clients fetch a page from nginx and from tonic's server; tonic's client calls tonic's server (gRPC), and tokio-tungstenite's
//! client its own server (WebSocket). Every answer says which version the server was spoken to in, and every client says which
//! one it spoke: both are compared with what was asked for. Clients that are not installed are named as missing, and nothing is
//! said of them.

mod built;
mod call;
mod client;
mod page;
mod site;

use std::path::Path;

use client::{Client, Version};
use site::{Server, Site, Towards};

/// What came of one client on one way; for each version they come in the order of [`Server::ways`].
struct Outcome {
    client: &'static str,
    version: Version,
    secure: bool,
    server: Server,
    /// Why it is not as it must be.
    wrong: Option<String>,
}

/// Runs every client on every way, and writes the page.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let program = crate::bench::program(root)?;
    let lab = built::program(root)?;
    let site = Site::start(&program, &lab)?;
    let python = client::python(root)?;
    let (clients, missing): (Vec<_>, Vec<_>) =
        Client::all(&python).into_iter().partition(|client| client.version().is_some());
    let missing: Vec<&str> = missing.iter().map(|client| client.name).collect();
    let mut outcomes = Vec::new();
    for server in [Server::Nginx, Server::Tonic] {
        for client in &clients {
            let run = |way, towards| client.run(&site, way, (server, towards));
            outcomes.extend(on_every_way(client.name, client.ways, server, run));
        }
    }
    if call::is_possible() {
        let run = |way, towards| call::run(&site, way, towards);
        outcomes.extend(on_every_way(call::NAME, call::WAYS, call::SERVER, run));
    }
    for client in &built::CLIENTS {
        let run = |way, towards| client.run(&lab, &site, way, towards);
        outcomes.extend(on_every_way(client.name, client.ways, client.server, run));
    }
    let versions = [site.versions(&python), built::versions(root)?].concat();
    page::write(root, &outcomes, &missing, &versions)?;
    match outcomes.iter().filter(|outcome| outcome.wrong.is_some()).count() {
        0 => Ok(()),
        count => Err(format!("clients-lab: {count} of {} ways did not work; see above", outcomes.len())),
    }
}

fn on_every_way(
    client: &'static str,
    ways: &[(Version, bool)],
    server: Server,
    run: impl Fn((Version, bool), Towards) -> Result<(), String>,
) -> Vec<Outcome> {
    eprintln!("{client} to {server}");
    let mut outcomes = Vec::new();
    for &(version, secure) in ways {
        for &towards in server.ways() {
            let wrong = run((version, secure), towards).err();
            if let Some(wrong) = &wrong {
                let over = if secure { " over TLS" } else { "" };
                eprintln!("  {version}{over}, to the server {towards}: {wrong}");
            }
            outcomes.push(Outcome { client, version, secure, server, wrong });
        }
    }
    outcomes
}
