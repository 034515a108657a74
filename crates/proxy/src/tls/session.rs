//! The library's side of a connection: with a client we are its server, with a server its client.

use std::ops::Deref;

use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

/// See the module.
pub(crate) enum Session {
    /// We are the client.
    OfClient(UnbufferedClientConnection),
    /// We are the server.
    OfServer(UnbufferedServerConnection),
}

impl Deref for Session {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::OfClient(session) => session,
            Self::OfServer(session) => session,
        }
    }
}
