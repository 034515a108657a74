//! `evenkeel post`: a process that sends one notice to a web address and ends.
//!
//! The supervisor starts it, so that it need not speak to the network itself. It gives up its rights first, reads what to
//! do from its standard input, and says what went wrong in one line; the token and what follows the host of the address
//! are never among it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use evenkeel_sys::process::rights;
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::header;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::exit::Exit;

/// The longest order, in bytes: a token, an address and a notice with every address that a virtual router may have.
const LONGEST_ORDER: u64 = 256 * 1024;

/// What to send.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// Where.
    pub(crate) url: String,
    /// For `Authorization`.
    pub(crate) token: Option<String>,
    /// JSON.
    pub(crate) body: String,
    /// How long all of it may take.
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Post {
    #[arg(long)]
    user: Option<String>,
}

impl Post {
    pub(super) fn perform(self) -> Exit {
        match post(self.user.as_deref()) {
            Ok(()) => Exit::Well,
            Err(why) => {
                eprintln!("{why}");
                Exit::Role
            }
        }
    }
}

fn post(user: Option<&str>) -> Result<(), String> {
    let account = user.map(|user| rights::account(Some(user))).transpose()?;
    rights::give_up(account.as_ref())?;
    let mut input = Vec::new();
    std::io::stdin()
        .take(LONGEST_ORDER)
        .read_to_end(&mut input)
        .map_err(|error| format!("its order cannot be read: {error}"))?;
    let order: Order =
        serde_json::from_slice(&input).map_err(|_| "its order cannot be understood".to_owned())?;
    let agent = agent(&order);
    let mut request = agent
        .post(&order.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("evenkeel/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = &order.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = request.send(&order.body).map_err(|error| describe(&error, order.timeout))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {}", status.as_u16())) }
}

fn agent(order: &Order) -> Agent {
    let mut config = Agent::config_builder()
        .timeout_global(Some(order.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    if order.url.starts_with("https://") {
        // What cannot be read of the system's authorities is missing, and shows as a certificate that nobody vouches for.
        let found = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<Certificate<'static>> =
            found.iter().map(|found| Certificate::from_der(found).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        config = config.tls_config(tls);
    }
    config.build().into()
}

/// Without the address, which the library may put into its words.
fn describe(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {timeout:?}"),
        ureq::Error::Io(error) => format!("{error}"),
        ureq::Error::HostNotFound => "its host has no address".into(),
        ureq::Error::BadUri(_) => "its address cannot be used".into(),
        ureq::Error::TooManyRedirects => "it redirects, which is not followed".into(),
        ureq::Error::Http(_) => "its address or the token cannot be sent".into(),
        other => other.to_string(),
    }
}
