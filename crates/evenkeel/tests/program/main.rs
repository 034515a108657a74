//! The real program, started on real files and sockets.

#![expect(clippy::unwrap_used, reason = "what fails in a test's support fails the test")]

mod demo;
mod demo_ha;
mod health;
mod life;
mod logs;
mod metrics;
mod site;
mod start;
mod sticky;
mod tls;
mod tls_files;
