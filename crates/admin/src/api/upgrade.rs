//! Another program in place of the running one.

use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::body::{Query, wrong};
use super::{By, Reply, show, unexpected};
use crate::desk::Desk;
use crate::message::{Answer, Command, Upgrading};
use crate::problem::Problem;

/// The longest time that a program may be given to show that it can take over: the answer comes after it.
const LONGEST: Duration = Duration::from_secs(35);

/// Let a new program take over
///
/// The program that lies now where the running one was started from is tried out; when it can go on with the configuration and
/// with all that it would be handed, it takes over: same process, same sockets. Otherwise the running one goes on, and the
/// answer says why. It is done when `generation` of the status is that of the answer.
#[utoipa::path(
    post, path = "/v1/upgrade", tag = "configuration",
    params(("within" = Option<String>, Query, description = "How long it may take to show that, such as `30s`; at most 35 s")),
    responses(
        (status = 202, description = "It can and does", body = Upgrading),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "Something else is under way", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "The file has errors; nothing was changed", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn upgrade(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    RawQuery(query): RawQuery,
) -> Reply {
    let query = Query::read(query.as_deref(), &["within"])?;
    let within = query.value("within").map(|text| {
        evenkeel_config::duration(text)
            .filter(|within| !within.is_zero() && *within <= LONGEST)
            .ok_or_else(|| wrong("`within` is a duration of at most 35 s, such as `10s`"))
    });
    match desk.ask(by, Command::Upgrade { within: within.transpose()? }).await? {
        Answer::Upgrading(upgrading) => Ok((StatusCode::ACCEPTED, show(&upgrading)).into_response()),
        other => Err(unexpected(other)),
    }
}
