use std::os::fd::AsFd;
use std::os::unix::net::UnixListener as Listening;

use evenkeel_sys::channel::{self, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::*;
use crate::message::{Answer, Command, Stopping};

/// One connection that nobody listens to on the other side.
fn connection() -> (DuplexStream, impl Future<Output = ()>, watch::Sender<bool>) {
    let (client, server) = duplex(1024 * 1024);
    let (end, ending) = watch::channel(false);
    let (busy, _) = mpsc::channel(1);
    let router = api::router(Desk::new().0, Door::Control);
    (client, converse(Work { router, ending, busy }, server), end)
}

async fn everything_from(mut client: DuplexStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_left_after_the_longest_head() {
    let (client, serving, _end) = connection();
    let begin = Instant::now();
    tokio::join!(serving, everything_from(client));
    assert_eq!(begin.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_left_after_the_longest_connection() {
    // One byte fits: the answer cannot be written.
    let (mut client, server) = duplex(1);
    let (_end, ending) = watch::channel(false);
    let router = api::router(Desk::new().0, Door::Control);
    let serving = converse(Work { router, ending, busy: mpsc::channel(1).0 }, server);
    let begin = Instant::now();
    tokio::join!(serving, async {
        client.write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    });
    assert_eq!(begin.elapsed().as_secs(), 300);
}

#[tokio::test]
async fn a_head_above_the_bound_is_answered_431() {
    let (mut client, serving, _end) = connection();
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    client.write_all(head.as_bytes()).await.unwrap();
    let ((), answer) = tokio::join!(serving, everything_from(client));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_role() {
    let (client, serving, end) = connection();
    end.send(true).unwrap();
    tokio::join!(serving, everything_from(client));
}

/// A role that serves on a control socket, and its supervisor's side of the channel.
struct Role {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    sender: Sender,
    receiver: Receiver,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

async fn role() -> Role {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listening = Listening::bind(&path).unwrap();
    listening.set_nonblocking(true).unwrap();
    let (ours, theirs) = channel::pair().unwrap();
    let serving = tokio::spawn(serve(Channel::from_fd(theirs).unwrap()));
    let (mut sender, mut receiver) = Channel::from_fd(ours).unwrap().split();
    sender
        .send(
            &Order::Serve { doors: vec![Door::Control], token: None, history: Vec::new() },
            &[listening.as_fd()],
        )
        .await
        .unwrap();
    assert!(matches!(receiver.receive::<Word>().await.unwrap().unwrap().0, Word::Serving));
    Role { _directory: directory, path, sender, receiver, serving }
}

#[tokio::test]
async fn a_command_goes_to_the_supervisor_and_its_answer_back_even_if_the_end_follows_at_once() {
    let mut role = role().await;
    let mut client = UnixStream::connect(&role.path).await.unwrap();
    client.write_all(b"POST /v1/stop HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (word, _) = role.receiver.receive::<Word>().await.unwrap().unwrap();
    let Word::Request { id, command: Command::Stop, .. } = word else { panic!("{word:?}") };
    let answer = Answer::Stopping(Stopping { pid: 7, within: 30 });
    role.sender.send(&Order::Answer { id, answer }, &[]).await.unwrap();
    role.sender.send(&Order::End, &[]).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with(r#"{"pid":7,"within":30}"#), "{text}");
    role.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_role_ends_when_its_supervisor_is_gone() {
    let Role { sender, receiver, serving, .. } = role().await;
    drop((sender, receiver));
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn doors_without_sockets_are_refused() {
    let (ours, theirs) = channel::pair().unwrap();
    let (mut sender, _receiver) = Channel::from_fd(ours).unwrap().split();
    sender
        .send(&Order::Serve { doors: vec![Door::Control], token: None, history: Vec::new() }, &[])
        .await
        .unwrap();
    let error = serve(Channel::from_fd(theirs).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
