//! `cargo xtask clients-lab`: the clients that people use, through the release build, to nginx: HTTP/1.1 and HTTP/2 on either
//! side, plain and over TLS; and the page of the guide with what came of it.
//!
//! Every answer says which version the server was spoken to in, and every client says which one it spoke: both are compared
//! with what was asked for. Clients that are not installed are named as missing, and nothing is said of them.

mod client;
mod page;
mod site;

use std::path::Path;

use client::{Client, Version};
use site::{Site, Towards};

/// What came of one client on one way; for each version they come in the order of [`Towards::ALL`].
struct Outcome {
    client: &'static str,
    version: Version,
    secure: bool,
    /// Why it is not as it must be.
    wrong: Option<String>,
}

/// Runs every client on every way, and writes the page.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let program = crate::bench::program(root)?;
    let site = Site::start(&program)?;
    let python = client::python(root)?;
    let mut missing = Vec::new();
    let mut outcomes = Vec::new();
    for client in Client::all(&python) {
        let Some(told) = client.version() else {
            missing.push(client.name);
            continue;
        };
        eprintln!("{}: {told}", client.name);
        for &(version, secure) in client.ways {
            for towards in Towards::ALL {
                let wrong = client.run(&site, version, secure, towards).err();
                if let Some(wrong) = &wrong {
                    eprintln!("  {version} {secure} {towards}: {wrong}");
                }
                outcomes.push(Outcome { client: client.name, version, secure, wrong });
            }
        }
    }
    page::write(root, &outcomes, &missing, &site.versions(&python))?;
    match outcomes.iter().filter(|outcome| outcome.wrong.is_some()).count() {
        0 => Ok(()),
        count => Err(format!("clients-lab: {count} of {} ways did not work; see above", outcomes.len())),
    }
}
