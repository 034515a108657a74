//! WebSocket by tokio-tungstenite: a server that echoes, and a client that tries all of it. Over HTTP/1.1 both make the opening
//! handshake themselves; over HTTP/2 (RFC 8441) hyper opens the stream, and they speak on it.

pub(crate) mod client;
pub(crate) mod server;

/// The subprotocol that the client asks for and the server agrees to.
const SUBPROTOCOL: &str = "lab";

/// What the server does more than echo: on these texts.
mod wish {
    /// Says what it was spoken to with.
    pub(super) const REACHED: &str = "how were you reached?";
    /// Sends a ping, and says `ponged` when it is answered.
    pub(super) const PING: &str = "ping me";
    pub(super) const PONGED: &str = "ponged";
    /// Closes with this code and reason.
    pub(super) const CLOSE: &str = "close";
    pub(super) const CODE: u16 = 4002;
    pub(super) const REASON: &str = "the server has had enough: café";
}
