//! `/v1/virtual-routers`: who holds their addresses, and what operators ask of them.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::path::Names;
use super::{By, Reply, ask_status, body, show, unexpected};
use crate::desk::Desk;
use crate::message::{Answer, Command, FailedOver, Released, RouterPriority, VirtualRouters};
use crate::problem::Problem;

/// With what to stand for election.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriorityBody {
    /// The node with more is active.
    #[schema(minimum = 1, maximum = 254)]
    priority: u8,
}

/// All virtual routers
#[utoipa::path(
    get, path = "/v1/virtual-routers", tag = "state",
    responses((status = 200, description = "Who holds their addresses, and why", body = VirtualRouters))
)]
pub(super) async fn list(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    // Without virtual routers that is an empty list, and no error.
    let known = ask_status(&desk, by).await?.virtual_routers.unwrap_or_default();
    match known {
        VirtualRouters { state: None, missing: Some(why), .. } => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the high availability role cannot be asked: {why}"),
        )),
        known => Ok(show(&known)),
    }
}

/// Make another node hold the addresses of a virtual router
///
/// It answers when the other node has them, or has not taken them in the time that the protocol allows.
#[utoipa::path(
    post, path = "/v1/virtual-routers/{name}/failover", tag = "virtual routers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "Another node is active", body = FailedOver),
        (status = 404, description = "There is no such virtual router", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It is not active here, or no other node took over", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn failover(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    Names(name): Names<String>,
) -> Reply {
    match desk.ask(by, Command::Failover { router: name }).await? {
        Answer::FailedOver(done) => Ok(show(&done)),
        other => Err(unexpected(other)),
    }
}

/// Let this node take the addresses of a virtual router back
///
/// After a failover it displaces nobody, whatever its priority. This ends that; where `preempt` allows it and its priority is
/// the highest, it is active a moment later.
#[utoipa::path(
    post, path = "/v1/virtual-routers/{name}/release", tag = "virtual routers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "It takes part with its full right", body = Released),
        (status = 404, description = "There is no such virtual router", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn release(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    Names(name): Names<String>,
) -> Reply {
    match desk.ask(by, Command::ReleaseRouter { router: name }).await? {
        Answer::Released(done) => Ok(show(&done)),
        other => Err(unexpected(other)),
    }
}

/// Stand for election with another priority
///
/// Reloads keep it; it ends with the program, or when the file says the same.
#[utoipa::path(
    put, path = "/v1/virtual-routers/{name}/priority", tag = "virtual routers", params(("name" = String, Path)),
    request_body = PriorityBody,
    responses(
        (status = 200, description = "It stands with this priority", body = RouterPriority),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such virtual router", content_type = "application/problem+json", body = Problem),
        (status = 408, description = "The body took too long", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "The addresses are this node's own (priority 255)", content_type = "application/problem+json", body = Problem),
        (status = 413, description = "The body is too large", content_type = "application/problem+json", body = Problem),
        (status = 415, description = "The body is no JSON", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn prioritize(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    Names(name): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    let PriorityBody { priority } = body::json(&headers, body).await?;
    set_priority(&desk, by, name, Some(priority)).await
}

/// Stand for election with the priority of the file again
#[utoipa::path(
    delete, path = "/v1/virtual-routers/{name}/priority", tag = "virtual routers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "It does", body = RouterPriority),
        (status = 404, description = "There is no such virtual router", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn reset_priority(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    Names(name): Names<String>,
) -> Reply {
    set_priority(&desk, by, name, None).await
}

async fn set_priority(desk: &Desk, by: By, router: String, priority: Option<u8>) -> Reply {
    match desk.ask(by, Command::PrioritizeRouter { router, priority }).await? {
        Answer::Prioritized(done) => Ok(show(&done)),
        other => Err(unexpected(other)),
    }
}
