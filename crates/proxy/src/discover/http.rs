//! Asks for a document that lists servers, over HTTP or HTTPS.
//!
//! Invariants: what was answered last is asked for only if it has changed (`ETag`); an answer is read up to the largest
//! document and not further; anything but 200 and 304 is a failure; redirects are not followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::found::{List, document};
use evenkeel_config::plan::Url;
use evenkeel_traffic::address::Address;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, ETAG, HOST, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Look;
use super::names::Names;
use crate::stream::Stream;
use crate::tls::connector::{Connector, Speaks, Towards};

/// Addresses of the host that are tried.
const MOST_TRIES: usize = 4;
/// How long the host may take to accept a connection before its next address is tried.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest tag that is sent back, in bytes.
const LONGEST_TAG: usize = 1024;

/// What is known of a document, and with what it is asked for over TLS.
pub(super) struct Client {
    tag: Option<HeaderValue>,
    connector: Option<Arc<Connector>>,
}

impl Client {
    pub(super) fn new(connector: Option<Arc<Connector>>) -> Self {
        Self { tag: None, connector }
    }

    pub(super) async fn look(
        &mut self,
        url: &Url,
        interval: Duration,
        names: &Names,
    ) -> Result<Look, String> {
        let stream = self.connect(url, names).await?;
        let failed = |error: hyper::Error| format!("{} does not speak HTTP: {error}", url.authority());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let _ends_with_the_look = super::Ends(tokio::spawn(connection).abort_handle());
        let mut request = Request::get(&url.target)
            .header(HOST, url.authority())
            .header(ACCEPT, "application/json, text/plain")
            .header(USER_AGENT, "Evenkeel discovery")
            .header(CONNECTION, "close");
        if let Some(tag) = &self.tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| format!("the request cannot be made: {error}"))?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.tag.is_some() => {
                return Ok(Look { list: None, trouble: None, empty: None, again: interval });
            }
            status => return Err(format!("it answered {status}")),
        }
        let tag = answer.headers().get(ETAG).filter(|tag| tag.len() <= LONGEST_TAG).cloned();
        let body = Limited::new(answer.into_body(), document::LARGEST).collect().await;
        let bytes = body.map_err(|error| format!("its answer broke off or is too long: {error}"))?.to_bytes();
        let servers = document::parse(&bytes)?;
        // Only now: an answer that was not understood is asked for again.
        self.tag = tag;
        Ok(Look { list: Some(List { servers, partial: false }), trouble: None, empty: None, again: interval })
    }
}

impl Client {
    async fn connect(&self, url: &Url, names: &Names) -> Result<Stream, String> {
        let (stream, address) = connect(url, names).await?;
        match (&self.connector, url.secure) {
            (None, false) => Ok(Stream::Tcp(stream)),
            (None, true) => Err("nothing was read for its TLS".into()),
            (Some(connector), _) => {
                let towards = Towards::new(connector, &Address::Tcp(address));
                let shaken = towards.connect(Stream::Tcp(stream), url.host.as_bytes(), Speaks::Http).await;
                shaken.map(|(stream, _)| stream).map_err(|failed| failed.why)
            }
        }
    }
}

async fn connect(url: &Url, names: &Names) -> Result<(TcpStream, SocketAddr), String> {
    let addresses = names.addresses(&url.host).await?.found;
    let mut last = format!("{} has no address", url.host);
    for ip in addresses.into_iter().take(MOST_TRIES) {
        let address = SocketAddr::new(ip, url.port);
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => last = format!("cannot connect to {address}: {error}"),
            Err(_) => last = format!("cannot connect to {address} within {CONNECT:?}"),
        }
    }
    Err(last)
}
