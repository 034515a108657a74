//! `grpc.health.v1.Health`, asked through the balancer, and what the balancer's own question to it leads to.

use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Client;
use crate::checks::{Wrong, same};
use crate::grpc::SERVICE;
use crate::grpc::messages::Piece;

/// How long the balancer may take to notice a change: 100 times the interval of its checks here.
const LONGEST: Duration = Duration::from_secs(20);
/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// A client sees all states of the service; and the balancer takes the server out when it is not well, and in again. What is
/// counted are the states that were seen.
pub(super) async fn health(client: Client, channel: Channel, mut server: Client) -> Result<u64, Wrong> {
    let seen = states(client, channel, server.clone()).await;
    // Whatever came of it, others find the service well.
    server.serve(Piece::new(1, "")).await?;
    seen
}

async fn states(client: Client, channel: Channel, mut server: Client) -> Result<u64, Wrong> {
    let asked = || HealthCheckRequest { service: SERVICE.to_owned() };
    let mut health = HealthClient::new(channel);
    let told = health.check(asked()).await?.into_inner().status();
    same("Check", told, ServingStatus::Serving)?;
    let unknown = HealthCheckRequest { service: "lab.Nothing".to_owned() };
    let status = health.check(unknown).await.err().map(|status| status.code());
    same("Check of a service that is none", status, Some(Code::NotFound))?;
    let mut states = health.watch(asked()).await?.into_inner();
    let mut seen = 0;
    for (change, state) in [
        (None, ServingStatus::Serving),
        (Some(0), ServingStatus::NotServing),
        (Some(1), ServingStatus::Serving),
    ] {
        if let Some(number) = change {
            server.serve(Piece::new(number, "")).await?;
        }
        let told = states.message().await?.ok_or("Watch has ended")?.status();
        same("Watch", told, state)?;
        seen += 1;
        match state {
            ServingStatus::Serving => well(&client).await?,
            _ => unwell(&client).await?,
        }
        seen += 1;
    }
    Ok(seen)
}

/// Waits until calls are answered by the server.
pub(super) async fn well(client: &Client) -> Result<(), Wrong> {
    until(client, |answer| answer.is_ok()).await
}

/// Waits until the balancer itself answers, because no server is well.
async fn unwell(client: &Client) -> Result<(), Wrong> {
    until(client, |answer| {
        let refused = |status: &Status| {
            status.code() == Code::Unavailable && status.metadata().get("evenkeel-reason").is_some()
        };
        answer.as_ref().is_err_and(refused)
    })
    .await
}

async fn until(client: &Client, enough: impl Fn(&Result<(), Status>) -> bool) -> Result<(), Wrong> {
    let asking = async {
        loop {
            let answer = client.clone().echo(Piece::default()).await.map(|_| ());
            if enough(&answer) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LONGEST, asking).await.map_err(|_| "the balancer has not noticed".into())
}
