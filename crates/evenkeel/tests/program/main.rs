//! The real program, started on real files and sockets.

#![expect(clippy::unwrap_used, reason = "what fails in a test's support fails the test")]

mod demo;
mod demo_ha;
mod health;
mod http2;
mod life;
mod logs;
mod metrics;
mod send_proxy;
mod site;
mod sni;
mod start;
mod sticky;
mod tls;
mod tls_files;
mod tls_servers;
mod tls_staples;
