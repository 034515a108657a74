//! `/v1/virtual-routers`: who holds their addresses, and what operators ask of them.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;

use super::{By, Reply, ask_status, show, unexpected};
use crate::desk::Desk;
use crate::message::{Answer, Command, FailedOver, VirtualRouters};
use crate::problem::Problem;

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
    Path(name): Path<String>,
) -> Reply {
    match desk.ask(by, Command::Failover { router: name }).await? {
        Answer::FailedOver(done) => Ok(show(&done)),
        other => Err(unexpected(other)),
    }
}
