//! tungstenite's client: text, bytes, order, ping and pong, the ends, and many at once.

mod dial;

use std::process::ExitCode;

use futures_util::stream::{FuturesUnordered, TryStreamExt};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;

use super::wish;
use crate::checks::{Checks, Wrong, patterned, same};
use dial::{Dialer, Socket};

/// Texts that are each answered before the next is sent.
const TEXTS: u64 = 100;
const BINARY: usize = 1 << 20;
/// Pings of either side.
const PINGS: u64 = 10;
/// Messages of which none waits for an answer.
const MESSAGES: u64 = 1_000;
const AT_ONCE: u64 = 100;
/// The code and the reason that the client closes with.
const CODE: u16 = 4001;
const REASON: &str = "that was all";

/// Runs every check through the balancer at `address` (`ws://` or `wss://`), over HTTP/1.1 (`h1`) or HTTP/2 (`h2`).
///
/// # Errors
/// Whatever keeps it from beginning.
pub(crate) async fn run(version: &str, address: &str, authority: &str) -> Result<ExitCode, Wrong> {
    let dialer = Dialer::new(version, address, authority).await?;
    let mut socket = dialer.open().await?;
    socket.send(Message::text(wish::REACHED)).await?;
    println!("server {}", next(&mut socket).await?.to_text()?);
    let mut checks = Checks::default();
    checks.run("text", text(&mut socket)).await;
    checks.run("binary", binary(&mut socket)).await;
    checks.run("ping", ping(&mut socket)).await;
    checks.run("order", order(&dialer)).await;
    checks.run("close", close(&dialer, socket)).await;
    checks.run("many", many(&dialer)).await;
    Ok(checks.end())
}

async fn next(socket: &mut Socket) -> Result<Message, Wrong> {
    Ok(socket.next().await.ok_or("the connection has ended")??)
}

async fn text(socket: &mut Socket) -> Result<u64, Wrong> {
    for number in 0..TEXTS {
        let said = Message::text(format!("{number}: ⚖ naïve café"));
        socket.send(said.clone()).await?;
        same("answer", next(socket).await?, said)?;
    }
    Ok(TEXTS)
}

async fn binary(socket: &mut Socket) -> Result<u64, Wrong> {
    let said = patterned(BINARY);
    socket.send(Message::binary(said.clone())).await?;
    match next(socket).await? {
        Message::Binary(answer) if answer == said => Ok(answer.len() as u64),
        other => Err(format!("an answer of {} bytes that is different", other.len()).into()),
    }
}

/// Pings of the client, which the server answers, and of the server, which says that the client has answered.
async fn ping(socket: &mut Socket) -> Result<u64, Wrong> {
    for number in 0..PINGS {
        let said = number.to_string();
        socket.send(Message::Ping(said.clone().into())).await?;
        same("answer", next(socket).await?, Message::Pong(said.into()))?;
    }
    for _ in 0..PINGS {
        socket.send(Message::text(wish::PING)).await?;
        same("what the server does", next(socket).await?, Message::Ping(wish::PING.into()))?;
        same("what the server says", next(socket).await?, Message::text(wish::PONGED))?;
    }
    Ok(2 * PINGS)
}

/// Many messages in a row while the answers come.
async fn order(dialer: &Dialer) -> Result<u64, Wrong> {
    let (mut sending, mut receiving) = dialer.open().await?.split();
    let send = async {
        for number in 0..MESSAGES {
            sending.send(Message::text(number.to_string())).await?;
        }
        Ok::<_, Wrong>(())
    };
    let receive = async {
        for number in 0..MESSAGES {
            let answer = receiving.next().await.ok_or("the connection has ended")??;
            same("answer", answer, Message::text(number.to_string()))?;
        }
        Ok(MESSAGES)
    };
    Ok(tokio::try_join!(send, receive)?.1)
}

/// A close by the client, and one by the server; each side says the code and the reason of the other again, and then the
/// connection ends.
async fn close(dialer: &Dialer, mut ours: Socket) -> Result<u64, Wrong> {
    let reason = CloseFrame { code: CODE.into(), reason: REASON.into() };
    ours.send(Message::Close(Some(reason.clone()))).await?;
    // The server says the code again (RFC 6455 §5.5.1); which reason, if any, is its own choice.
    match next(&mut ours).await? {
        Message::Close(Some(answer)) => same("code", u16::from(answer.code), CODE)?,
        other => return Err(format!("{other:?} for a close").into()),
    }
    ended(ours).await?;

    let mut theirs = dialer.open().await?;
    theirs.send(Message::text(wish::CLOSE)).await?;
    let reason = CloseFrame { code: wish::CODE.into(), reason: wish::REASON.into() };
    same("what the server closes with", next(&mut theirs).await?, Message::Close(Some(reason)))?;
    ended(theirs).await?;
    Ok(2)
}

async fn ended(mut socket: Socket) -> Result<(), Wrong> {
    match socket.next().await {
        None => Ok(()),
        Some(Ok(message)) => Err(format!("{message:?} behind the close").into()),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Many open at once, then one message on each.
async fn many(dialer: &Dialer) -> Result<u64, Wrong> {
    let opening: FuturesUnordered<_> = (0..AT_ONCE).map(|_| dialer.open()).collect();
    let mut sockets: Vec<Socket> = opening.try_collect().await?;
    let mut answered = 0;
    for socket in &mut sockets {
        socket.send(Message::text(answered.to_string())).await?;
        same("answer", next(socket).await?, Message::text(answered.to_string()))?;
        answered += 1;
    }
    Ok(answered)
}
