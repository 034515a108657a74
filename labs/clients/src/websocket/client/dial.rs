//! How a WebSocket is opened: by an upgrade of a connection of its own, or as a stream of the one that all share.

use std::path::{Path, PathBuf};

use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::checks::{Wrong, same};
use crate::secure;
use crate::websocket::SUBPROTOCOL;

pub(super) type Socket = WebSocketStream<Box<dyn Io>>;

/// What bytes come and go on.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens WebSockets at one address.
pub(super) struct Dialer {
    address: Uri,
    authority: PathBuf,
    /// The shared connection, if it is one of HTTP/2.
    shared: Option<SendRequest<Empty<Bytes>>>,
}

impl Dialer {
    pub(super) async fn new(version: &str, address: &str, authority: &str) -> Result<Self, Wrong> {
        let mut dialer = Self { address: address.parse()?, authority: authority.into(), shared: None };
        if version == "h2" {
            let connection = TokioIo::new(dialer.connect("h2").await?);
            let (mut shared, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), connection).await?;
            tokio::spawn(connection);
            // A WebSocket may be asked for when SETTINGS have allowed it (RFC 8441 §3); they come before the first response.
            let page = Request::get(dialer.seen_as("/")?).body(Empty::new())?;
            shared.send_request(page).await?;
            dialer.shared = Some(shared);
        }
        Ok(dialer)
    }

    /// A new one, with the subprotocol agreed.
    pub(super) async fn open(&self) -> Result<Socket, Wrong> {
        match &self.shared {
            None => self.upgrade().await,
            Some(shared) => self.stream(shared.clone()).await,
        }
    }

    async fn upgrade(&self) -> Result<Socket, Wrong> {
        let mut request = self.address.clone().into_client_request()?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let (socket, response) = client_async(request, self.connect("http/1.1").await?).await?;
        agreed(response.headers())?;
        Ok(socket)
    }

    async fn stream(&self, mut shared: SendRequest<Empty<Bytes>>) -> Result<Socket, Wrong> {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(self.seen_as(self.address.path())?)
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .extension(Protocol::from_static("websocket"))
            .body(Empty::new())?;
        let response = shared.send_request(request).await?;
        same("status", response.status(), StatusCode::OK)?;
        agreed(response.headers())?;
        let stream: Box<dyn Io> = Box::new(TokioIo::new(hyper::upgrade::on(response).await?));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    /// A path at the same place, as HTTP names it.
    fn seen_as(&self, path: &str) -> Result<String, Wrong> {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let place = self.address.authority().ok_or("the address has no host")?;
        Ok(format!("{scheme}://{place}{path}"))
    }

    fn is_secure(&self) -> bool {
        self.address.scheme_str() == Some("wss")
    }

    async fn connect(&self, protocol: &str) -> Result<Box<dyn Io>, Wrong> {
        let host = self.address.host().ok_or("the address has no host")?;
        let port = self.address.port_u16().ok_or("the address has no port")?;
        let connection = TcpStream::connect((host, port)).await?;
        connection.set_nodelay(true)?;
        if !self.is_secure() {
            return Ok(Box::new(connection));
        }
        let connector = secure::connector(Path::new(&self.authority), protocol)?;
        let connection = connector.connect(ServerName::try_from(host)?.to_owned(), connection).await?;
        let agreed = connection.get_ref().1.alpn_protocol();
        same("the protocol of the handshake", agreed, Some(protocol.as_bytes()))?;
        Ok(Box::new(connection))
    }
}

fn agreed(headers: &http::HeaderMap) -> Result<(), Wrong> {
    let protocol = headers.get(SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::as_bytes);
    same("the subprotocol", protocol, Some(SUBPROTOCOL.as_bytes()))
}
