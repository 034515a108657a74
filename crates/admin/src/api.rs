//! The routes of the API and what they answer.
//!
//! On TCP only reading is allowed, and only under a loopback name: a page that a browser of this machine has loaded
//! from elsewhere may send requests here, under a name of its own that it has pointed at 127.0.0.1 (DNS rebinding).

mod guard;
#[cfg(test)]
mod tests;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use evenkeel_proxy::message::Snapshot;
use serde::Serialize;

use crate::desk::Desk;
use crate::message::{Answer, Command, Door, Status, VirtualRouters};
use crate::metrics;
use crate::problem::Problem;

/// Everything that is served at this door.
pub fn router(desk: Desk, door: Door) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/listeners", get(listeners))
        .route("/v1/pools", get(pools))
        .route("/v1/pools/{pool}", get(pool))
        .route("/v1/virtual-routers", get(virtual_routers))
        .route("/v1/virtual-routers/{name}/failover", post(failover))
        .route("/v1/config/diff", get(diff))
        .route("/v1/reload", post(reload))
        .route("/v1/stop", post(stop))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(move |request, next| guard::check(door, request, next)))
        .with_state(desk)
}

type Reply = Result<Response, Problem>;

async fn health(State(desk): State<Desk>) -> Reply {
    traffic(&desk).await?;
    Ok("the proxy role answers\n".into_response())
}

async fn metrics(State(desk): State<Desk>) -> Reply {
    let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, metrics::render(&ask_status(&desk).await?)).into_response())
}

async fn status(State(desk): State<Desk>) -> Reply {
    Ok(show(&ask_status(&desk).await?))
}

async fn listeners(State(desk): State<Desk>) -> Reply {
    Ok(show(&traffic(&desk).await?.listeners))
}

async fn pools(State(desk): State<Desk>) -> Reply {
    Ok(show(&traffic(&desk).await?.pools))
}

async fn pool(State(desk): State<Desk>, Path(name): Path<String>) -> Reply {
    let pools = traffic(&desk).await?.pools;
    match pools.iter().find(|pool| pool.name.as_str() == name) {
        Some(pool) => Ok(show(pool)),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, "there is no pool of this name: `/v1/pools` lists them"))
        }
    }
}

async fn virtual_routers(State(desk): State<Desk>) -> Reply {
    // Without virtual routers that is an empty list, and no error.
    let known = ask_status(&desk).await?.virtual_routers.unwrap_or_default();
    match known {
        VirtualRouters { state: None, missing: Some(why), .. } => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the high availability role cannot be asked: {why}"),
        )),
        known => Ok(show(&known)),
    }
}

async fn failover(State(desk): State<Desk>, Path(router): Path<String>) -> Reply {
    match desk.ask(Command::Failover { router }).await? {
        Answer::FailedOver(done) => Ok(show(&done)),
        other => Err(unexpected(other)),
    }
}

async fn diff(State(desk): State<Desk>) -> Reply {
    match desk.ask(Command::Diff).await? {
        Answer::Preview(preview) => Ok(show(&preview)),
        other => Err(unexpected(other)),
    }
}

async fn reload(State(desk): State<Desk>) -> Reply {
    match desk.ask(Command::Reload).await? {
        Answer::Reloaded(reloaded) => Ok(show(&reloaded)),
        other => Err(unexpected(other)),
    }
}

async fn stop(State(desk): State<Desk>) -> Reply {
    match desk.ask(Command::Stop).await? {
        Answer::Stopping(stopping) => Ok((StatusCode::ACCEPTED, show(&stopping)).into_response()),
        other => Err(unexpected(other)),
    }
}

async fn unknown(request: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not what {path} is for"))
}

async fn ask_status(desk: &Desk) -> Result<Status, Problem> {
    match desk.ask(Command::Status).await? {
        Answer::Status(status) => Ok(*status),
        other => Err(unexpected(other)),
    }
}

/// What the proxy role says of itself, or 503.
async fn traffic(desk: &Desk) -> Result<Snapshot, Problem> {
    let status = ask_status(desk).await?;
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
