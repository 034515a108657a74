//! Sticky sessions in one line, as the file would write them. Keys are not there to be shown.

use evenkeel_traffic::sticky::Secure;

use super::shown::duration;
use crate::plan::Pool;

/// `{ cookie = "EVENKEEL", … }`, with everything that it means; `none` without.
pub(super) fn shown(pool: &Pool) -> String {
    let Some(sticky) = &pool.sticky else { return "none".into() };
    let cookie = &sticky.cookie;
    let mut parts = vec![format!("cookie = {:?}", cookie.name)];
    parts.extend(sticky.key_file.iter().map(|path| format!("key-file = {path:?}")));
    parts.push(format!("same-site = {:?}", cookie.same_site.name()));
    parts.push(match cookie.secure {
        Secure::Auto => "secure = \"auto\"".into(),
        Secure::Always => "secure = true".into(),
        Secure::Never => "secure = false".into(),
    });
    parts.extend(cookie.max_age.iter().map(|age| format!("max-age = \"{}\"", duration(*age))));
    parts.extend(cookie.domain.iter().map(|domain| format!("domain = {domain:?}")));
    format!("{{ {} }}", parts.join(", "))
}
