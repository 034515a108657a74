//! Errors of the API as problem documents (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::{Blame, Refusal};

/// A problem document. Its type is `about:blank` (RFC 9457, section 4.2.1): the status says what kind it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What the status means.
    #[schema(value_type = String)]
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is the matter and what to do.
    detail: String,
    /// The whole story for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The same for a program.
    #[schema(value_type = Option<Object>)]
    report: Option<serde_json::Value>,
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { title, status: status.as_u16(), detail: detail.into(), text: None, report: None }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.blame {
            Blame::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
            Blame::Busy | Blame::Conflict => StatusCode::CONFLICT,
            Blame::Missing => StatusCode::NOT_FOUND,
            Blame::Request => StatusCode::BAD_REQUEST,
            Blame::Condition => StatusCode::PRECONDITION_FAILED,
            Blame::Failure => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { text: refusal.text, report: refusal.report, ..Self::new(status, refusal.detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
