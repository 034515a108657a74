//! One question to one agent, within its time.

use evenkeel_config::plan;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::agent::{Answer, LONGEST_LINE, parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream::Stream;

/// Asks over a new connection; an answer ends with its line or with the connection.
pub(super) async fn ask(agent: &plan::Agent, address: &Address) -> Result<Answer, String> {
    let work = async {
        let mut stream = Stream::connect(address)
            .await
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        let broken = |error| format!("the connection to {address} broke: {error}");
        stream.write_all(agent.send.as_bytes()).await.map_err(broken)?;
        let mut heard = Vec::new();
        let mut piece = [0; LONGEST_LINE];
        while heard.len() < LONGEST_LINE && !heard.iter().any(|byte| b"\r\n".contains(byte)) {
            let count = stream.read(&mut piece).await.map_err(broken)?;
            if count == 0 {
                break;
            }
            heard.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
        parse(&heard).map_err(|why| why.to_string())
    };
    let patience = agent.timeout;
    match tokio::time::timeout(patience, work).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer from {address} within {patience:?}")),
    }
}
