//! How calls end before their time: by a status of the server, by a deadline, by the client's change of mind.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, TryStreamExt};
use tonic::{Code, Request, Status, Streaming};

use super::Client;
use crate::checks::{Wrong, same};
use crate::grpc::messages::{Piece, Tally};
use crate::grpc::refusal;

/// Calls with a deadline; the last ends after 300 ms.
const DEADLINES: u64 = 10;
/// Calls that are called off all at once. Fewer than the 200 streams reset in a second that the balancer takes for a flood.
const CALLED_OFF: u64 = 100;
/// Messages that a client reads of a stream before it leaves.
const READ: u64 = 10;

/// A status with all that belongs to it, at once and behind messages.
pub(super) async fn status(mut client: Client) -> Result<u64, Wrong> {
    let at_once = client.refuse(Piece::default()).await.err().ok_or("the call was not refused")?;
    compare(&at_once)?;
    let mut pieces = client.refuse_late(Piece::default()).await?.into_inner();
    for number in 0..refusal::AFTER {
        same("message", pieces.message().await?, Some(Piece::new(number, "")))?;
    }
    let late = pieces.message().await.err().ok_or("the stream was not refused")?;
    compare(&late)?;
    Ok(2)
}

fn compare(status: &Status) -> Result<(), Wrong> {
    same("code", status.code(), refusal::CODE)?;
    same("message", status.message(), refusal::MESSAGE)?;
    same("details", status.details(), refusal::DETAILS)?;
    let text = status.metadata().get("lab-text").ok_or("trailer lab-text is missing")?;
    same("lab-text", text.to_str()?, refusal::TEXT)?;
    let raw = status.metadata().get_bin("lab-raw-bin").ok_or("trailer lab-raw-bin is missing")?;
    same("lab-raw-bin", &raw.to_bytes()?[..], refusal::RAW)
}

/// Calls that nobody answers end at their deadlines, at the client and at the server.
pub(super) async fn deadline(client: Client) -> Result<u64, Wrong> {
    let mut observed = Observed::begin(client.clone()).await?;
    let calls: FuturesUnordered<_> = (1..=DEADLINES)
        .map(|number| {
            let mut client = client.clone();
            async move {
                let mut request = Request::new(Piece::default());
                request.set_timeout(Duration::from_millis(200 + 10 * number));
                let status = client.wait(request).await.err().ok_or("the call was answered")?;
                // The client's own clock says `Cancelled`, the server's `DeadlineExceeded`: whichever is first.
                let late = matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded);
                same("whether the deadline has ended it", (late, status.message()), (true, "Timeout expired"))
            }
        })
        .collect();
    calls.try_collect::<Vec<()>>().await?;
    observed.until(|tally| tally.ended == DEADLINES).await?;
    Ok(DEADLINES)
}

/// Calls and a stream that the client gives up end at the server, and the connection goes on.
pub(super) async fn cancel(mut client: Client) -> Result<u64, Wrong> {
    let mut observed = Observed::begin(client.clone()).await?;
    let calls: Vec<_> = (0..CALLED_OFF)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.wait(Piece::default()).await })
        })
        .collect();
    observed.until(|tally| tally.begun == CALLED_OFF).await?;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    observed.until(|tally| tally.ended == CALLED_OFF).await?;

    let mut endless = client.count(Piece::new(u64::MAX, "content")).await?.into_inner();
    for number in 0..READ {
        same("message", endless.message().await?, Some(Piece::new(number, "content")))?;
    }
    drop(endless);
    let tally = observed.until(|tally| tally.ended == CALLED_OFF + 1).await?;
    client.echo(Piece::default()).await?;
    Ok(tally.ended)
}

/// What the server tells of calls that are under way, counted from when it was first asked.
struct Observed {
    base: Tally,
    tallies: Streaming<Tally>,
}

impl Observed {
    async fn begin(mut client: Client) -> Result<Self, Wrong> {
        let tallies = client.observe(Piece::default()).await?.into_inner();
        let mut observed = Self { base: Tally::default(), tallies };
        // What an earlier check has left may end a moment after its client has seen the end.
        observed.base = observed.until(|tally| tally.begun == tally.ended).await?;
        Ok(observed)
    }

    async fn until(&mut self, enough: impl Fn(&Tally) -> bool) -> Result<Tally, Wrong> {
        while let Some(tally) = self.tallies.message().await? {
            let since = Tally { begun: tally.begun - self.base.begun, ended: tally.ended - self.base.ended };
            if enough(&since) {
                return Ok(since);
            }
        }
        Err("the server tells no more".into())
    }
}
