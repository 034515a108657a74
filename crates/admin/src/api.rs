//! The routes of the API, what they answer, and the document that says so.
//!
//! On TCP only reading is allowed without the token, and only under a loopback name: a page that a browser of this machine
//! has loaded from elsewhere may send requests here, under a name of its own that it has pointed at 127.0.0.1 (DNS
//! rebinding). Invariant: what is served is in the document and the other way round, because both come from one list.

mod body;
mod document;
mod events;
mod guard;
mod path;
mod reload;
mod servers;
#[cfg(test)]
mod tests;
mod upgrade;
mod virtual_routers;

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
pub use body::LARGEST_BODY;
use evenkeel_proxy::message::{ListenerSnapshot, PoolSnapshot, Snapshot};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::path::Names;
use crate::desk::Desk;
use crate::message::{Answer, Command, Door, Preview, Saved, Status, Stopping};
use crate::metrics;
use crate::problem::Problem;

/// Who asks: told to the supervisor, for its audit lines.
#[derive(Clone, Debug)]
pub struct By(pub Arc<str>);

/// Everything that is served at this door. Requests carry a [`By`].
pub fn router(desk: Desk, door: Door) -> Router {
    let (router, document) = parts();
    let guarding = desk.clone();
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(Arc::new(document)))
        .layer(middleware::from_fn(move |request, next| guard::check(door, guarding.clone(), request, next)))
        .with_state(desk)
}

/// The routes and their document.
fn parts() -> (Router<Desk>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(document::frame())
        .routes(routes!(health))
        .routes(routes!(metrics))
        .routes(routes!(status))
        .routes(routes!(listeners))
        .routes(routes!(pools))
        .routes(routes!(pool))
        .routes(routes!(servers::read, servers::put, servers::patch, servers::delete))
        .routes(routes!(servers::reset))
        .routes(routes!(virtual_routers::list))
        .routes(routes!(virtual_routers::failover))
        .routes(routes!(virtual_routers::release))
        .routes(routes!(virtual_routers::prioritize, virtual_routers::reset_priority))
        .routes(routes!(diff))
        .routes(routes!(save))
        .routes(routes!(reload::reload))
        .routes(routes!(reload::confirm))
        .routes(routes!(reload::roll_back))
        .routes(routes!(upgrade::upgrade))
        .routes(routes!(stop))
        .routes(routes!(events::stream))
        .routes(routes!(openapi))
        .split_for_parts();
    document::complete(&mut document);
    (router, document)
}

type Reply = Result<Response, Problem>;

/// Whether the proxy role answers
#[utoipa::path(
    get, path = "/healthz", tag = "state",
    responses((status = 200, description = "It does", content_type = "text/plain", body = String))
)]
async fn health(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    traffic(&desk, by).await?;
    Ok("the proxy role answers\n".into_response())
}

/// The state for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "state",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
)]
async fn metrics(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, metrics::render(&ask_status(&desk, by).await?)).into_response())
}

/// The whole program at this moment
#[utoipa::path(
    get, path = "/v1/status", tag = "state",
    responses((status = 200, description = "Everything that `evenkeel status` shows", body = Status))
)]
async fn status(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    Ok(show(&ask_status(&desk, by).await?))
}

/// All listeners
#[utoipa::path(
    get, path = "/v1/listeners", tag = "state",
    responses((status = 200, description = "In the order of the file", body = Vec<ListenerSnapshot>))
)]
async fn listeners(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    Ok(show(&traffic(&desk, by).await?.listeners))
}

/// All pools and their servers
#[utoipa::path(
    get, path = "/v1/pools", tag = "state",
    responses((status = 200, description = "In the order of the file", body = Vec<PoolSnapshot>))
)]
async fn pools(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    Ok(show(&traffic(&desk, by).await?.pools))
}

/// One pool and its servers
#[utoipa::path(
    get, path = "/v1/pools/{pool}", tag = "state", params(("pool" = String, Path)),
    responses(
        (status = 200, description = "Its state", body = PoolSnapshot),
        (status = 404, description = "There is no such pool", content_type = "application/problem+json", body = Problem),
    )
)]
async fn pool(State(desk): State<Desk>, Extension(by): Extension<By>, Names(name): Names<String>) -> Reply {
    let pools = traffic(&desk, by).await?.pools;
    match pools.iter().find(|pool| pool.name.as_str() == name) {
        Some(pool) => Ok(show(pool)),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, "there is no pool of this name: `/v1/pools` lists them"))
        }
    }
}

/// What a reload would change
#[utoipa::path(
    get, path = "/v1/config/diff", tag = "configuration",
    responses(
        (status = 200, description = "The differences, and the runtime changes that stay", body = Preview),
        (status = 422, description = "The file has errors", content_type = "application/problem+json", body = Problem),
    )
)]
async fn diff(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    match desk.ask(by, Command::Diff).await? {
        Answer::Preview(preview) => Ok(show(&preview)),
        other => Err(unexpected(other)),
    }
}

/// Write the runtime changes into the file
///
/// Comments and order of the file stay. They are runtime changes no more.
#[utoipa::path(
    post, path = "/v1/config/save", tag = "configuration",
    responses(
        (status = 200, description = "The file has them", body = Saved),
        (status = 409, description = "The file was edited meanwhile, or something is under way", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "The file has errors", content_type = "application/problem+json", body = Problem),
    )
)]
async fn save(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    match desk.ask(by, Command::SaveConfig).await? {
        Answer::Saved(saved) => Ok(show(&saved)),
        other => Err(unexpected(other)),
    }
}

/// Drain and end
#[utoipa::path(
    post, path = "/v1/stop", tag = "configuration",
    responses((status = 202, description = "It has begun", body = Stopping))
)]
async fn stop(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    match desk.ask(by, Command::Stop).await? {
        Answer::Stopping(stopping) => Ok((StatusCode::ACCEPTED, show(&stopping)).into_response()),
        other => Err(unexpected(other)),
    }
}

/// This document
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "state",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
async fn openapi(Extension(document): Extension<Arc<OpenApi>>) -> Response {
    show(&*document)
}

async fn unknown(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {path}: `/v1/openapi.json` lists what there is"),
    )
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not what {path} is for: the header `Allow` of this answer says what is"),
    )
}

async fn ask_status(desk: &Desk, by: By) -> Result<Status, Problem> {
    match desk.ask(by, Command::Status).await? {
        Answer::Status(status) => Ok(*status),
        other => Err(unexpected(other)),
    }
}

/// What the proxy role says of itself, or 503.
async fn traffic(desk: &Desk, by: By) -> Result<Snapshot, Problem> {
    let status = ask_status(desk, by).await?;
    status.traffic.ok_or_else(|| {
        let why = status.traffic_missing.unwrap_or_else(|| "it does not answer".into());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the proxy role cannot be asked: {why}"))
    })
}

fn unexpected(answer: Answer) -> Problem {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the supervisor answered another question"),
    }
}

/// JSON that no cache keeps: it is true for a moment only.
fn show<T: Serialize>(value: &T) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
