//! tonic's server: the service, the health of the service, and a page for those who speak no gRPC.

use std::future::pending;
use std::pin::Pin;

use axum::body::Body;
use axum::response::Html;
use http::Request as HttpRequest;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::{KeyAndValueRef, MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use super::messages::{Piece, Tally};
use super::service::calls_server::{Calls, CallsServer};
use super::{LARGEST, SERVICE, refusal};
use crate::checks::Wrong;

/// Messages of a stream that may wait in the server.
const WAITING: usize = 16;

/// What the server without TLS and the one with TLS have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    page: String,
    tally: watch::Sender<Tally>,
    health: HealthReporter,
}

impl Shared {
    /// A service that is well.
    pub(crate) async fn new(page: String) -> Self {
        let health = HealthReporter::new();
        health.set_service_status(SERVICE, ServingStatus::Serving).await;
        Self { page, tally: watch::Sender::default(), health }
    }
}

/// Serves gRPC, over TLS if there is an `identity`, and says that it was spoken to with `reached`.
///
/// # Errors
/// TLS that cannot be set up, a listener that has failed.
pub(crate) async fn serve(
    listener: TcpListener,
    identity: Option<Identity>,
    shared: Shared,
    reached: &'static str,
) -> Result<(), Wrong> {
    let page = shared.page.clone();
    let health = HealthService::from_health_reporter(shared.health.clone());
    let health = tonic_health::pb::health_server::HealthServer::new(health);
    let calls = CallsServer::new(Service { shared, reached })
        .max_decoding_message_size(LARGEST)
        .max_encoding_message_size(LARGEST);
    let routes = Routes::new(calls).add_service(health).into_axum_router();
    let routes = routes.fallback(move |request| answer(page.clone(), request));
    let mut server = Server::builder();
    if let Some(identity) = identity {
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let arriving = TcpListenerStream::new(listener);
    Ok(server.add_routes(Routes::from(routes)).serve_with_incoming(arriving).await?)
}

/// The page, when the whole request has come.
async fn answer(page: String, request: HttpRequest<Body>) -> Html<String> {
    let version = format!("{:?}", request.version());
    // A client that leaves before its request is whole needs no answer.
    let _ = request.into_body().collect().await;
    Html(page.replace("$server_protocol", &version))
}

struct Service {
    shared: Shared,
    reached: &'static str,
}

/// A call that is under way; it has ended when this is dropped, whatever ends it.
struct UnderWay(watch::Sender<Tally>);

impl UnderWay {
    fn new(tally: &watch::Sender<Tally>) -> Self {
        tally.send_modify(|tally| tally.begun += 1);
        Self(tally.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|tally| tally.ended += 1);
    }
}

type Pieces = ReceiverStream<Result<Piece, Status>>;
type Tallies = Pin<Box<dyn Stream<Item = Result<Tally, Status>> + Send>>;

#[tonic::async_trait]
impl Calls for Service {
    /// The same message, with every field of the request's metadata that begins with `lab-`, and what else it came with.
    async fn echo(&self, request: Request<Piece>) -> Result<Response<Piece>, Status> {
        let (metadata, _, piece) = request.into_parts();
        let mut response = Response::new(piece);
        let answer = response.metadata_mut();
        for field in metadata.iter() {
            match field {
                KeyAndValueRef::Ascii(key, value) if key.as_str().starts_with("lab-") => {
                    answer.append(key, value.clone());
                }
                KeyAndValueRef::Binary(key, value) if key.as_str().starts_with("lab-") => {
                    answer.append_bin(key, value.clone());
                }
                _ => {}
            }
        }
        if let Some(timeout) = metadata.get("grpc-timeout") {
            answer.insert("lab-timeout", timeout.clone());
        }
        answer.insert("lab-reached", MetadataValue::from_static(self.reached));
        Ok(response)
    }

    type CountStream = Pieces;

    /// So many messages, each with the content of the request.
    async fn count(&self, request: Request<Piece>) -> Result<Response<Pieces>, Status> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let under_way = UnderWay::new(&self.shared.tally);
        let asked = request.into_inner();
        tokio::spawn(async move {
            for number in 0..asked.number {
                if sender.send(Ok(Piece::new(number, asked.content.clone()))).await.is_err() {
                    break;
                }
            }
            drop(under_way);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// How many messages have come, and the bytes of their content are counted in eight bytes of content.
    async fn sum(&self, request: Request<Streaming<Piece>>) -> Result<Response<Piece>, Status> {
        let mut pieces = request.into_inner();
        let (mut count, mut bytes) = (0, 0);
        while let Some(piece) = pieces.message().await? {
            if piece.number != count {
                return Err(Status::data_loss(format!("{} came in the place of {count}", piece.number)));
            }
            count += 1;
            bytes += piece.content.len() as u64;
        }
        Ok(Response::new(Piece::new(count, bytes.to_be_bytes().to_vec())))
    }

    type TalkStream = Pieces;

    /// Each message, as it comes.
    async fn talk(&self, request: Request<Streaming<Piece>>) -> Result<Response<Pieces>, Status> {
        let mut pieces = request.into_inner();
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Some(piece) = pieces.message().await.transpose() {
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// Refuses at once: the status is in the only head of the response.
    async fn refuse(&self, _: Request<Piece>) -> Result<Response<Piece>, Status> {
        Err(refused())
    }

    type RefuseLateStream = Pieces;

    /// Refuses behind some messages: the status is in the trailers.
    async fn refuse_late(&self, _: Request<Piece>) -> Result<Response<Pieces>, Status> {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            for number in 0..refusal::AFTER {
                if sender.send(Ok(Piece::new(number, Vec::new()))).await.is_err() {
                    return;
                }
            }
            // A client that has left needs no status.
            let _ = sender.send(Err(refused())).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// Never answers.
    async fn wait(&self, _: Request<Piece>) -> Result<Response<Piece>, Status> {
        let _under_way = UnderWay::new(&self.shared.tally);
        pending().await
    }

    type ObserveStream = Tallies;

    /// The tally now and whenever it has changed.
    async fn observe(&self, _: Request<Piece>) -> Result<Response<Tallies>, Status> {
        let tallies = WatchStream::new(self.shared.tally.subscribe()).map(Ok);
        Ok(Response::new(Box::pin(tallies)))
    }

    /// From now on the service is well (1) or not (0).
    async fn serve(&self, request: Request<Piece>) -> Result<Response<Piece>, Status> {
        let piece = request.into_inner();
        let status = if piece.number == 0 { ServingStatus::NotServing } else { ServingStatus::Serving };
        self.shared.health.set_service_status(SERVICE, status).await;
        Ok(Response::new(piece))
    }
}

fn refused() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("lab-text", MetadataValue::from_static(refusal::TEXT));
    metadata.insert_bin("lab-raw-bin", MetadataValue::from_bytes(refusal::RAW));
    Status::with_details_and_metadata(refusal::CODE, refusal::MESSAGE, refusal::DETAILS.into(), metadata)
}
