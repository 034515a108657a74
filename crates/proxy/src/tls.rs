//! TLS with clients.
//!
//! [`material`] is what the supervisor has read, [`examine`] says whether it can be used, [`acceptor`] makes of it what
//! a listener shakes hands with, [`choose`] picks the certificate for a name, [`tickets`] lets clients come back without
//! a full handshake, [`stream`] is a connection. Files are read elsewhere: the role has no right to. Invariants: keys
//! are in no text that anybody prints; bytes of the application wait in memory only while somebody is moving them.

pub mod acceptor;
pub mod examine;
pub mod material;

pub(crate) mod block;
pub(crate) mod choose;
pub(crate) mod client_certificate;
pub(crate) mod stream;
pub(crate) mod tickets;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The library behind all of it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
