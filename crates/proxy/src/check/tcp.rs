//! A check that opens a connection, says something and waits to hear something.

use evenkeel_config::plan::TcpProbe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::probe::{MOST_BYTES, contains};
use crate::stream::Stream;

pub(super) async fn ask(stream: &mut Stream, dialogue: &TcpProbe) -> Result<(), String> {
    let sent = stream.write_all(dialogue.send.as_bytes()).await;
    sent.map_err(|error| format!("the connection broke while `send` was sent: {error}"))?;
    if dialogue.expect.is_empty() {
        return Ok(());
    }
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while heard.len() < MOST_BYTES {
        let count = stream
            .read(&mut piece)
            .await
            .map_err(|error| format!("the connection broke before `expect` was heard: {error}"))?;
        heard.extend_from_slice(piece.get(..count).unwrap_or_default());
        if contains(&heard, &dialogue.expect) {
            return Ok(());
        }
        if count == 0 {
            return Err("the server ended the connection before `expect` was heard".into());
        }
    }
    Err(format!("`expect` is not in the first {MOST_BYTES} bytes"))
}
