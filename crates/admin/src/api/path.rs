//! The names in the path of a request.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::wrong;
use crate::problem::Problem;

/// Names in a path, their escapes resolved. What cannot be read is refused as everything else is, with a problem document.
#[derive(Debug)]
pub(super) struct Names<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(_) => Err(wrong(
                "a name in the path is no text: names have letters, digits, `.`, `_` and `-`, and need no escapes",
            )),
        }
    }
}
