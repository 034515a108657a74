//! tungstenite's server: an echo, behind an upgrade of HTTP/1.1 or a stream of HTTP/2.

use std::convert::Infallible;

use futures_util::{SinkExt, StreamExt};
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{Method, StatusCode};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::{SUBPROTOCOL, wish};
use crate::checks::Wrong;

/// Serves WebSocket over HTTP/1.1.
///
/// # Errors
/// A listener that has failed.
pub(crate) async fn upgrades(listener: TcpListener, reached: &'static str) -> Result<(), Wrong> {
    loop {
        let (connection, _) = listener.accept().await?;
        tokio::spawn(async move {
            connection.set_nodelay(true)?;
            echo(accept_hdr_async(connection, agree).await?, reached).await
        });
    }
}

#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn agree(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Serves WebSocket over HTTP/2 (RFC 8441), over TLS if there is an `acceptor`.
///
/// # Errors
/// A listener that has failed.
pub(crate) async fn streams(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    reached: &'static str,
) -> Result<(), Wrong> {
    loop {
        let (connection, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            connection.set_nodelay(true)?;
            match acceptor {
                Some(acceptor) => requests(acceptor.accept(connection).await?, reached).await,
                None => requests(connection, reached).await,
            }
        });
    }
}

async fn requests(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    reached: &'static str,
) -> Result<(), Wrong> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(open(request, reached)) });
    builder.enable_connect_protocol().serve_connection(TokioIo::new(connection), service).await?;
    Ok(())
}

/// A WebSocket for who asks for one; everybody else is told that there is nothing else here.
fn open(request: http::Request<Incoming>, reached: &'static str) -> http::Response<Empty<Bytes>> {
    let asked = request.extensions().get::<Protocol>().is_some_and(|asked| asked.as_str() == "websocket");
    let mut response = http::Response::new(Empty::new());
    if request.method() != Method::CONNECT || !asked {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    tokio::spawn(async move {
        let stream = TokioIo::new(hyper::upgrade::on(request).await?);
        echo(WebSocketStream::from_raw_socket(stream, Role::Server, None).await, reached).await
    });
    response
}

/// Sends back what comes until the client closes or wishes to be closed. What goes wrong here is what the client complains of.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    reached: &str,
) -> Result<(), Wrong> {
    while let Some(message) = socket.next().await {
        let answer = match message {
            Ok(Message::Text(text)) if text == wish::REACHED => Message::text(reached),
            Ok(Message::Text(text)) if text == wish::PING => Message::Ping(wish::PING.into()),
            Ok(Message::Text(text)) if text == wish::CLOSE => {
                let reason = CloseFrame { code: wish::CODE.into(), reason: wish::REASON.into() };
                Message::Close(Some(reason))
            }
            Ok(Message::Pong(said)) if said == wish::PING.as_bytes() => Message::text(wish::PONGED),
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            // Pings and a close are answered by the library.
            Ok(_) => continue,
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        socket.send(answer).await?;
    }
    Ok(())
}
