//! Putting the file in force, at once or on trial.

use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;

use super::body::Query;
use super::{By, Reply, show, unexpected};
use crate::desk::Desk;
use crate::message::{Answer, Command, Confirmed, Reloaded, RolledBack};
use crate::problem::Problem;

/// The shortest and the longest trial.
const TRIALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Put the file in force
///
/// With `confirm` it is on trial: unless it is confirmed in time, what was in force before is put in force again. A trial
/// during a trial goes back to what was before the first; a reload without `confirm` is refused meanwhile. When the
/// program ends, the next start begins with the file.
#[utoipa::path(
    post, path = "/v1/reload", tag = "configuration",
    params((
        "confirm" = Option<String>, Query,
        description = "Within which time it is to be confirmed, such as `60s`: `1s` to `1h`",
    )),
    responses(
        (status = 200, description = "It is in force", body = Reloaded),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "Too many reloads wait, or one is on trial", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "The file has errors; nothing was changed", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn reload(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    RawQuery(query): RawQuery,
) -> Reply {
    let query = Query::read(query.as_deref(), &["confirm"])?;
    let command = match query.value("confirm") {
        None => Command::Reload,
        Some(text) => {
            let within = evenkeel_config::duration(text).filter(|within| TRIALS.contains(within));
            let within =
                within.ok_or_else(|| super::body::wrong("`confirm` is a duration of `1s` to `1h`"))?;
            Command::TryReload { within }
        }
    };
    match desk.ask(by, command).await? {
        Answer::Reloaded(reloaded) => Ok(show(&reloaded)),
        other => Err(unexpected(other)),
    }
}

/// Keep the configuration that is on trial
#[utoipa::path(
    post, path = "/v1/reload/confirm", tag = "configuration",
    responses(
        (status = 200, description = "It stays", body = Confirmed),
        (status = 409, description = "None is on trial, or it is too late", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn confirm(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    answered(desk.ask(by, Command::ConfirmReload).await?)
}

/// End the trial: put in force what was before
#[utoipa::path(
    post, path = "/v1/reload/roll-back", tag = "configuration",
    responses(
        (status = 200, description = "What was before is in force, but for what is named as missing", body = RolledBack),
        (status = 409, description = "None is on trial", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn roll_back(State(desk): State<Desk>, Extension(by): Extension<By>) -> Reply {
    answered(desk.ask(by, Command::RollBack).await?)
}

fn answered(answer: Answer) -> Result<Response, Problem> {
    match answer {
        Answer::Confirmed(confirmed) => Ok(show(&confirmed)),
        Answer::RolledBack(back) => Ok(show(&back)),
        other => Err(unexpected(other)),
    }
}
