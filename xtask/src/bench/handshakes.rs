//! Load that wrk cannot make: requests over TLS each on a connection of its own that knows nothing of those before.
//!
//! wrk keeps its sessions, so all but its first handshakes are resumed, without a signature. This runs as a process of its own
//! on the core of the load, and tells what it did in wrk's words. Like wrk and h2load it takes any certificate: to verify two
//! signatures costs more than what a proxy does, and the load must be able to keep a proxy busy.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::LOAD_CORE;
use super::memory::{connect, secured, served};

/// A process that does it for so many seconds on so many connections at once.
pub(super) fn generator(port: u16, connections: u32, seconds: u32) -> Result<Command, String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut load = Command::new("taskset");
    load.args(["-c", LOAD_CORE]).arg(myself).args(["bench", "handshakes"]);
    load.args([port.to_string(), connections.to_string(), seconds.to_string()]);
    Ok(load)
}

/// Is that process.
pub(super) fn run(arguments: &[&str]) -> Result<(), String> {
    let [port, connections, seconds] = arguments else {
        return Err("handshakes needs a port, connections and seconds".into());
    };
    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
    let port = u16::try_from(number(port)?).map_err(|error| error.to_string())?;
    let config = client().map_err(|error| format!("no TLS client: {error}"))?;
    let end = Instant::now() + Duration::from_secs(number(seconds)?.into());
    let (done, failed) = (AtomicU64::new(0), Arc::new(Mutex::new((0, String::new()))));
    std::thread::scope(|scope| {
        for _ in 0..number(connections).unwrap_or(1) {
            scope.spawn(|| {
                while Instant::now() < end {
                    let served = connect(port)
                        .and_then(|socket| secured(socket, &config))
                        .and_then(|stream| served(stream, "close"));
                    match served {
                        Ok(_closed) => {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(why) => {
                            if let Ok(mut failed) = failed.lock() {
                                *failed = (failed.0 + 1, why);
                            }
                        }
                    }
                }
            });
        }
    });
    println!("  {} requests in {seconds}s", done.into_inner());
    let failed = failed.lock().map_err(|error| error.to_string())?;
    if failed.0 > 0 {
        println!("  Socket errors: {} ({})", failed.0, failed.1);
    }
    Ok(())
}

/// Resumes no session, and exchanges keys in the way that all proxies understand.
fn client() -> Result<Arc<ClientConfig>, Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let provider = Arc::new(provider);
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Believes whoever answers.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
