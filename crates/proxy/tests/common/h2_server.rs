//! A server that speaks HTTP/2 with prior knowledge, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::sync::oneshot;

/// One request that the server got.
pub(crate) struct Call {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
}

/// A running server; ends when dropped.
pub(crate) struct H2Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    ended: AtomicUsize,
}

impl H2Server {
    /// Answers each request with what comes of `answer`, each in a task of its own.
    pub(crate) fn start<F>(
        builder: h2::server::Builder,
        answer: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = oneshot::channel();
        let shared = counts.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let answer = Arc::new(answer);
                let accept = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
                        let (builder, answer, shared) = (builder.clone(), answer.clone(), shared.clone());
                        tokio::spawn(async move {
                            if let Ok(mut requests) = builder.handshake::<_, Bytes>(stream).await {
                                while let Some(Ok((request, respond))) = requests.accept().await {
                                    tokio::spawn(answer(Call { request, respond, connection }));
                                }
                            }
                            shared.ended.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, counts, stop: Some(stop), thread: Some(thread) }
    }

    /// A server that answers every request with this text.
    pub(crate) fn named(text: &'static str) -> Self {
        Self::start(h2::server::Builder::new(), move |call| async move {
            call.answer(Response::new(()), text).await;
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it accepted.
    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Connections that have ended.
    pub(crate) fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }
}

impl Drop for H2Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Call {
    /// Sends a whole response.
    pub(crate) async fn answer(mut self, response: Response<()>, content: impl Into<Bytes>) {
        let content = content.into();
        let sending = self.respond.send_response(response, content.is_empty());
        if let (Ok(mut sending), false) = (sending, content.is_empty()) {
            send(&mut sending, content, true).await;
        }
    }

    /// All of the request's content.
    pub(crate) async fn content(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        while let Some(Ok(piece)) = self.request.body_mut().data().await {
            self.request.body_mut().flow_control().release_capacity(piece.len()).unwrap();
            content.extend_from_slice(&piece);
        }
        content
    }
}

/// Sends content as far as the other side takes it; false when it was given up.
pub(crate) async fn send(sending: &mut SendStream<Bytes>, mut content: Bytes, end: bool) -> bool {
    while !content.is_empty() {
        sending.reserve_capacity(content.len());
        let room = match std::future::poll_fn(|cx| sending.poll_capacity(cx)).await {
            Some(Ok(room)) => room.min(content.len()),
            _ => return false,
        };
        let piece = content.split_to(room);
        if sending.send_data(piece, end && content.is_empty()).is_err() {
            return false;
        }
    }
    true
}
