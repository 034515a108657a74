//! `/v1/pools/{pool}/servers/{server}`: servers that come, change and go while the program runs.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use evenkeel_config::overlay::{Adjustment, Edit, NewServer};
use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::Weight;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{self, Query, wrong};
use super::path::Names;
use super::{By, Reply, show, unexpected};
use crate::desk::Desk;
use crate::message::{Answer, Command, Edited, ServerSettings};
use crate::problem::Problem;

/// How long a server may drain before it is removed when nothing is said.
const USUAL_DRAIN: Duration = Duration::from_secs(60);
/// The longest it may.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A server to be put in place. What is not said has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerBody {
    /// Where it answers: `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/run/app.sock`.
    #[schema(value_type = String, example = "192.168.1.4:80")]
    address: Address,
    /// Where checks ask instead.
    #[schema(value_type = Option<String>)]
    check_address: Option<Address>,
    /// Its share; 1 without.
    #[schema(value_type = Option<u16>, minimum = 0, maximum = 256)]
    weight: Option<Weight>,
    /// Its rank; 100 without, and 0 is a backup.
    priority: Option<u8>,
    /// Requests or connections running on it at once; no bound without.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    max_connections: Option<NonZeroU32>,
    /// `ready` (without), `drain` or `maintenance`.
    #[schema(value_type = Option<String>, pattern = "^(ready|drain|maintenance)$")]
    state: Option<Duty>,
}

/// What is to change about a server; the rest stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerPatch {
    /// Its share.
    #[schema(value_type = Option<u16>, minimum = 0, maximum = 256)]
    weight: Option<Weight>,
    /// Requests or connections running on it at once.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    max_connections: Option<NonZeroU32>,
    /// `ready`, `drain` (it finishes what it has and keeps the clients that are bound to it) or `maintenance` (it takes
    /// nothing and is not checked).
    #[schema(value_type = Option<String>, pattern = "^(ready|drain|maintenance)$")]
    state: Option<Duty>,
}

type Place = Names<(String, String)>;

fn names(Names((pool, server)): Place) -> Result<(Name, Name), Problem> {
    let name = |text: String| {
        text.parse::<Name>().map_err(|why| wrong(format!("{text:?} is no name of a pool or server: {why}")))
    };
    Ok((name(pool)?, name(server)?))
}

/// How a server is set
#[utoipa::path(
    get, path = "/v1/pools/{pool}/servers/{server}", tag = "servers",
    params(("pool" = String, Path), ("server" = String, Path)),
    responses(
        (
            status = 200, description = "Its settings", body = ServerSettings,
            headers(("ETag" = String, description = "Changes when they do: for `If-Match`")),
        ),
        (status = 400, description = "That is no name", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such pool or server", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn read(State(desk): State<Desk>, Extension(by): Extension<By>, place: Place) -> Reply {
    let (pool, server) = names(place)?;
    match desk.ask(by, Command::Server { pool, server }).await? {
        Answer::Server(settings) => Ok(tagged(Some(&settings), show(&*settings))),
        other => Err(unexpected(other)),
    }
}

/// Add a server, or put another in its place
///
/// It inherits the settings of its pool and gets traffic once its check has passed.
#[utoipa::path(
    put, path = "/v1/pools/{pool}/servers/{server}", tag = "servers",
    params(
        ("pool" = String, Path), ("server" = String, Path),
        ("if-none-match" = Option<String>, Header, description = "`*`: only when there is no such server"),
        ("if-match" = Option<String>, Header, description = "Only when the server still has this `ETag`"),
    ),
    request_body = ServerBody,
    responses(
        (status = 200, description = "It is in place", body = Edited),
        (status = 201, description = "It was added", body = Edited),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such pool", content_type = "application/problem+json", body = Problem),
        (status = 408, description = "The body took too long", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be as things are, or too many changes wait", content_type = "application/problem+json", body = Problem),
        (status = 412, description = "The condition does not hold", content_type = "application/problem+json", body = Problem),
        (status = 413, description = "The body is too large", content_type = "application/problem+json", body = Problem),
        (status = 415, description = "The body is no JSON", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn put(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    let (pool, server) = names(place)?;
    let ServerBody { address, check_address, weight, priority, max_connections, state } =
        body::json(&headers, body).await?;
    let new = NewServer { address, check_address, weight, priority, max_connections, state };
    change(&desk, by, (pool, server), Edit::Put(new), &headers, USUAL_DRAIN).await
}

/// Change the weight, the bound or the state of a server
#[utoipa::path(
    patch, path = "/v1/pools/{pool}/servers/{server}", tag = "servers",
    params(
        ("pool" = String, Path), ("server" = String, Path),
        ("if-match" = Option<String>, Header, description = "Only when the server still has this `ETag`"),
    ),
    request_body = ServerPatch,
    responses(
        (status = 200, description = "It is changed", body = Edited),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such pool or server", content_type = "application/problem+json", body = Problem),
        (status = 408, description = "The body took too long", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be as things are, or too many changes wait", content_type = "application/problem+json", body = Problem),
        (status = 412, description = "The condition does not hold", content_type = "application/problem+json", body = Problem),
        (status = 413, description = "The body is too large", content_type = "application/problem+json", body = Problem),
        (status = 415, description = "The body is no JSON", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn patch(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    let (pool, server) = names(place)?;
    let ServerPatch { weight, max_connections, state } = body::json(&headers, body).await?;
    let edit = Edit::Adjust(Adjustment { weight, max_connections, state });
    change(&desk, by, (pool, server), edit, &headers, USUAL_DRAIN).await
}

/// Remove a server
///
/// It drains first: no new traffic but that of clients that are bound to it. It is removed when its last request has ended,
/// at the latest after `drain-timeout`; what runs on it then goes on until it ends. `force` removes it at once: clients
/// that are bound to it lose their session.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/servers/{server}", tag = "servers",
    params(
        ("pool" = String, Path), ("server" = String, Path),
        ("drain-timeout" = Option<String>, Query, description = "How long it may drain, such as `30s`; `60s` without, at most `24h`"),
        ("force" = Option<bool>, Query, description = "Do not drain"),
        ("if-match" = Option<String>, Header, description = "Only when the server still has this `ETag`"),
    ),
    responses(
        (status = 200, description = "It is gone", body = Edited),
        (status = 202, description = "It drains and goes then", body = Edited),
        (status = 400, description = "The request makes no sense", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such pool or server", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It is the last of its pool, or too many changes wait", content_type = "application/problem+json", body = Problem),
        (status = 412, description = "The condition does not hold", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn delete(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    place: Place,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply {
    let (pool, server) = names(place)?;
    let query = Query::read(query.as_deref(), &["drain-timeout", "force"])?;
    let within = match query.value("drain-timeout") {
        None => USUAL_DRAIN,
        Some(text) => evenkeel_config::duration(text)
            .filter(|within| *within <= LONGEST_DRAIN)
            .ok_or_else(|| wrong("`drain-timeout` is a duration of at most a day, such as `30s` or `5m`"))?,
    };
    let edit = match query.value("force") {
        None | Some("false") => Edit::Leave,
        Some("true") => Edit::Remove,
        Some(_) => return Err(wrong("`force` is `true` or `false`")),
    };
    change(&desk, by, (pool, server), edit, &headers, within).await
}

/// Undo the runtime change of a server
///
/// From now on it is as the file says: one that was added goes at once, one that was removed comes back.
#[utoipa::path(
    post, path = "/v1/pools/{pool}/servers/{server}/reset", tag = "servers",
    params(("pool" = String, Path), ("server" = String, Path)),
    responses(
        (status = 200, description = "It is as the file says", body = Edited),
        (status = 400, description = "That is no name", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "Nothing about it was changed", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "Too many changes wait", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn reset(
    State(desk): State<Desk>,
    Extension(by): Extension<By>,
    place: Place,
    headers: HeaderMap,
) -> Reply {
    let names = names(place)?;
    change(&desk, by, names, Edit::Reset, &headers, USUAL_DRAIN).await
}

async fn change(
    desk: &Desk,
    by: By,
    (pool, server): (Name, Name),
    edit: Edit,
    headers: &HeaderMap,
    within: Duration,
) -> Reply {
    let conditions = body::conditions(headers)?;
    // What comes back by a reset is nothing new.
    let may_create = matches!(edit, Edit::Put(_));
    match desk.ask(by, Command::EditServer { pool, server, edit, conditions, within }).await? {
        Answer::Edited(edited) => {
            let status = match &*edited {
                Edited { created: true, .. } if may_create => StatusCode::CREATED,
                Edited { leaves_within: Some(_), .. } => StatusCode::ACCEPTED,
                _ => StatusCode::OK,
            };
            Ok(tagged(edited.server.as_ref(), (status, show(&*edited)).into_response()))
        }
        other => Err(unexpected(other)),
    }
}

/// The answer with the tag of what it shows.
fn tagged(settings: Option<&ServerSettings>, mut response: Response) -> Response {
    if let Some(tag) = settings.and_then(|settings| settings.tag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
