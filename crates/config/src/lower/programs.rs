//! Refuses programs that must not be run: what they are and who could change them is asked of the world.

use std::path::Path;

use crate::Source;
use crate::model::{Model, WordOr};
use crate::problems::Problems;
use crate::suggest::quoted;

pub(crate) fn check(model: &Model, source: &dyn Source, problems: &mut Problems) {
    for (span, program, user) in super::track::scripts(model) {
        if let Err(why) = source.program(Path::new(program), user) {
            problems.error(span, format!("{} cannot be tracked: {why}", quoted(program))).help(
                "every element of its path must belong to root or to the user that starts Evenkeel and be writable by \
                 nobody else, and its `user` must be able to execute it",
            );
        }
    }
    for (span, program, user, what) in super::telling::programs(model) {
        if let Err(why) = source.program(Path::new(program), user) {
            problems.error(span, format!("{} cannot be {what}: {why}", quoted(program))).help(
                "every element of its path must belong to root or to the user that starts Evenkeel and be writable by \
                 nobody else, and its `user` must be able to execute it",
            );
        }
    }
    let user = model.global.user.as_ref().map(|user| user.value.as_str());
    for pool in &model.pools {
        let Some(WordOr::Table(health)) = pool.health.as_ref().map(|health| &health.value) else { continue };
        let Some(exec) = &health.exec else { continue };
        let Some(program) = exec.value.first() else { continue };
        if let Err(why) = source.program(Path::new(program), user) {
            problems
                .error(exec.span, format!("{} cannot be a check: {why}", quoted(program)))
                .help(
                    "every element of its path must belong to root or to the user that starts Evenkeel and be writable by \
                     nobody else, and the user of the proxy role must be able to execute it",
                );
        }
    }
}
