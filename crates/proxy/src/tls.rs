//! TLS with clients and with servers.
//!
//! [`material`] is what the supervisor has read, [`examine`] says whether it can be used, [`acceptor`] makes of it what
//! a listener shakes hands with, [`choose`] picks the certificate for a name, [`tickets`] lets clients come back without
//! a full handshake, [`connector`] is what the servers of a pool are spoken to with, [`stream`] is a connection. Files are read elsewhere: the role has no right to. Invariants: keys
//! are in no text that anybody prints; bytes of the application wait in memory only while somebody is moving them.

pub mod acceptor;
pub mod connector;
pub mod examine;
pub mod material;

pub(crate) mod block;
pub(crate) mod choose;
pub(crate) mod client_certificate;
pub(crate) mod opening;
pub(crate) mod session;
pub(crate) mod stream;
pub(crate) mod tickets;
pub(crate) mod told;
pub(crate) mod words;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The library behind all of it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
