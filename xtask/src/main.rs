//! The project's own tools: `cargo xtask tidy`, `fuzz`, `api-fuzz`, `sim`, `bench`, `instructions`, `big-body` and the labs
//! (`health-lab`, `live-lab`, `failover-lab`).

mod api_fuzz;
mod bench;
mod big_body;
mod clients_lab;
mod failover_lab;
mod flood_lab;
mod fuzz;
mod handover_lab;
mod health_lab;
mod instructions;
mod live_lab;
mod sim;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask tidy                           what the compiler cannot see: arrows between crates, fuzz targets, …
       cargo xtask fuzz [--seconds N] [TARGET…]   runs fuzz targets (all, 60 seconds each)
       cargo xtask big-body [BYTES]               sends bodies of 1 GiB (or BYTES) through the release build
       cargo xtask clients-lab                    has curl, nghttp, h2load, httpx, Chromium, tonic (gRPC) and tokio-tungstenite
                                                  (WebSocket) go through the release build, HTTP/1.1 and HTTP/2
       cargo xtask flood-lab [--only TEXT|…] [--seconds N]
                                                  attacks the release build in every known way and measures what others see
       cargo xtask health-lab                     gets real servers into trouble and writes what came of it to the guide
       cargo xtask api-fuzz [--seed N]            schemathesis against the API of the release build (Python; best as root)
       cargo xtask live-lab [--only PART] [--servers N]
                                                  reloads, servers that come and go, drains, restarts and kill -9 under load,
                                                  and what came of it to the guide (wrk, nginx; root for some); PART is
                                                  reloads, active, servers, drains, restarts, fuzzer, or
                                                  upgrades, active-upgrades
       cargo xtask bench [--quick] [--turns N] [--seconds N] [--only PART] [--haproxy PROGRAM]
                                                  what a request costs HAProxy, nginx and Evenkeel
       cargo xtask instructions                   what parsing, rewriting and picking cost, counted by valgrind
       cargo xtask sim [--handover] --seed N [--runs N]   replays a simulated election (or handovers), or runs many from this seed on
       cargo xtask failover-lab [--only CASE] [--repeat N] [--timing PART]
       cargo xtask handover-lab [--only PART] [--moves N]
                                                  breaks pairs of nodes and measures what a client sees (root); CASE is a
                                                  fault, flood, soak, or nobody-sees[/CASE|/many|/soak]: a whole site";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["fuzz", rest @ ..] => fuzz::run(&root(), rest),
        ["big-body", rest @ ..] => big_body::run(&root(), rest),
        ["clients-lab"] => clients_lab::run(&root()),
        ["flood-lab", rest @ ..] => flood_lab::run(&root(), rest),
        ["health-lab"] => health_lab::run(&root()),
        ["api-fuzz", rest @ ..] => api_fuzz::run(&root(), rest),
        ["live-lab", rest @ ..] => live_lab::run(&root(), rest),
        ["bench", rest @ ..] => bench::run(&root(), rest),
        ["instructions"] => instructions::run(&root()),
        ["sim", rest @ ..] => sim::run(rest),
        ["failover-lab", rest @ ..] => failover_lab::run(&root(), rest),
        ["handover-lab", rest @ ..] => handover_lab::run(&root(), rest),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace: the directory above this crate.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}
