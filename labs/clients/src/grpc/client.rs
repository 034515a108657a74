//! tonic's client: every kind of call, and how calls end before their time.

mod ends;
mod health;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use super::LARGEST;
use super::messages::Piece;
use super::service::calls_client::CallsClient;
use crate::checks::{Checks, Wrong, patterned, same};

type Client = CallsClient<Channel>;

const MIB: usize = 1 << 20;
/// Calls of one message, and how many of them are under way at once.
const CALLS: u64 = 1_000;
const AT_ONCE: usize = 100;
/// Messages of a stream in one direction.
const MESSAGES: u64 = 10_000;
/// Messages that are each answered before the next is sent.
const EXCHANGES: u64 = 1_000;
/// Twice what tonic receives unless it is told otherwise.
const BIG: usize = 8 * MIB;
/// Messages of 1 MiB in a stream.
const BIG_MESSAGES: u64 = 64;

/// Runs every check through the balancer at `address`; `server` is the address of the server behind it.
///
/// # Errors
/// Whatever keeps it from beginning.
pub(crate) async fn run(address: &str, authority: &str, server: &str) -> Result<ExitCode, Wrong> {
    let channel = connect(address, authority).await?;
    let client = calls(channel.clone());
    let direct = calls(connect(server, authority).await?);
    health::well(&client).await?;
    println!("server {}", reached(client.clone()).await?);
    let mut checks = Checks::default();
    checks.run("unary", unary(&client)).await;
    checks.run("server-stream", server_stream(client.clone())).await;
    checks.run("client-stream", client_stream(client.clone())).await;
    checks.run("both-streams", both_streams(client.clone())).await;
    checks.run("big-message", big_message(client.clone())).await;
    checks.run("big-streams", big_streams(client.clone())).await;
    checks.run("metadata", metadata(client.clone())).await;
    checks.run("status", ends::status(client.clone())).await;
    checks.run("deadline", ends::deadline(client.clone())).await;
    checks.run("cancel", ends::cancel(client.clone())).await;
    checks.run("health", health::health(client, channel, direct)).await;
    Ok(checks.end())
}

async fn connect(address: &str, authority: &str) -> Result<Channel, Wrong> {
    let mut endpoint = Channel::from_shared(address.to_owned())?.connect_timeout(Duration::from_secs(10));
    if address.starts_with("https:") {
        let authority = Certificate::from_pem(std::fs::read(authority)?);
        let tls = ClientTlsConfig::new().ca_certificate(authority).domain_name("localhost");
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint.connect().await?)
}

fn calls(channel: Channel) -> Client {
    CallsClient::new(channel).max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST)
}

/// What the server says it was spoken to with.
async fn reached(mut client: Client) -> Result<String, Wrong> {
    let answer = client.echo(Piece::default()).await?;
    let reached = answer.metadata().get("lab-reached").ok_or("the server does not say how it was reached")?;
    Ok(reached.to_str()?.to_owned())
}

/// Calls of one message, many at once, each with an answer of its own.
async fn unary(client: &Client) -> Result<u64, Wrong> {
    stream::iter(0..CALLS)
        .map(|number| {
            let mut client = client.clone();
            async move {
                let said = Piece::new(number, number.to_string());
                let answer = client.echo(said.clone()).await?.into_inner();
                same("answer", answer, said)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |count, ()| async move { Ok(count + 1) })
        .await
}

/// One message there, many back, in order.
async fn server_stream(mut client: Client) -> Result<u64, Wrong> {
    let mut pieces = client.count(Piece::new(MESSAGES, "content")).await?.into_inner();
    let mut count = 0;
    while let Some(piece) = pieces.message().await? {
        same("message", piece, Piece::new(count, "content"))?;
        count += 1;
    }
    Ok(count)
}

/// Many messages there, in order, one back.
async fn client_stream(mut client: Client) -> Result<u64, Wrong> {
    let pieces = stream::iter((0..MESSAGES).map(|number| Piece::new(number, "content")));
    Ok(client.sum(pieces).await?.into_inner().number)
}

/// Each message is sent when the one before was answered: nothing may wait for more in either direction, and the head of the
/// response comes before the first message is sent.
async fn both_streams(mut client: Client) -> Result<u64, Wrong> {
    let (sender, said) = mpsc::channel(1);
    let mut answers = client.talk(ReceiverStream::new(said)).await?.into_inner();
    for number in 0..EXCHANGES {
        let piece = Piece::new(number, "content");
        sender.send(piece.clone()).await?;
        same("answer", answers.message().await?, Some(piece))?;
    }
    drop(sender);
    same("what follows the last answer", answers.message().await?, None)?;
    Ok(EXCHANGES)
}

/// One message that is larger than every window on its way, there and back.
async fn big_message(mut client: Client) -> Result<u64, Wrong> {
    let said = Piece::new(1, patterned(BIG));
    let answer = client.echo(said.clone()).await?.into_inner();
    if answer != said {
        return Err("the message came back different".into());
    }
    Ok(answer.content.len() as u64)
}

/// Messages of 1 MiB, first all back, then all there.
async fn big_streams(mut client: Client) -> Result<u64, Wrong> {
    let content = prost::bytes::Bytes::from(patterned(MIB));
    let mut pieces = client.count(Piece::new(BIG_MESSAGES, content.clone())).await?.into_inner();
    let mut count = 0;
    while let Some(piece) = pieces.message().await? {
        if piece.number != count || piece.content != content {
            return Err(format!("message {count} came different").into());
        }
        count += 1;
    }
    let sent = stream::iter((0..BIG_MESSAGES).map(move |number| Piece::new(number, content.clone())));
    let summed = client.sum(sent).await?.into_inner();
    let bytes = BIG_MESSAGES * MIB as u64;
    same("bytes that have come to the server", summed.content.to_vec(), bytes.to_be_bytes().to_vec())?;
    Ok(count + summed.number)
}

/// Text, bytes that are no text, and a key with several values, there and back.
async fn metadata(mut client: Client) -> Result<u64, Wrong> {
    let raw: Vec<u8> = (0..=255).collect();
    let mut request = Request::new(Piece::default());
    let fields = request.metadata_mut();
    fields.insert("lab-text", MetadataValue::from_static("a, b; c=\"d\""));
    fields.append("lab-many", MetadataValue::from_static("first"));
    fields.append("lab-many", MetadataValue::from_static("second"));
    fields.insert_bin("lab-raw-bin", MetadataValue::from_bytes(&raw));
    fields.append_bin("lab-many-bin", MetadataValue::from_bytes(b"\x00"));
    fields.append_bin("lab-many-bin", MetadataValue::from_bytes(b"\xff,\xff"));
    request.set_timeout(Duration::from_secs(40));
    let timeout = request.metadata().get("grpc-timeout").cloned();
    let sent = request.metadata().clone();
    let answer = client.echo(request).await?;
    let back = answer.metadata();
    let mut count = 0;
    for key in ["lab-text", "lab-many"] {
        let (back, sent): (Vec<_>, Vec<_>) =
            (back.get_all(key).iter().collect(), sent.get_all(key).iter().collect());
        count += back.len() as u64;
        same(key, back, sent)?;
    }
    for key in ["lab-raw-bin", "lab-many-bin"] {
        let bytes = |fields: &tonic::metadata::MetadataMap| {
            fields.get_all_bin(key).iter().map(MetadataValue::to_bytes).collect::<Result<Vec<_>, _>>()
        };
        let (back, sent) = (bytes(back)?, bytes(&sent)?);
        count += back.len() as u64;
        same(key, back, sent)?;
    }
    same("grpc-timeout", back.get("lab-timeout"), timeout.as_ref())?;
    Ok(count + 1)
}
