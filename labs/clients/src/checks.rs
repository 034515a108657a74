//! Runs checks one after the other, each within a bound, and says what came of them.

use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Duration;

/// Why something is not as it must be.
pub(crate) type Wrong = Box<dyn Error + Send + Sync>;

/// How long one check may take: long for what takes a second, so that a hang is seen and a slow machine is not taken for one.
const LONGEST: Duration = Duration::from_secs(60);

/// What came of the checks so far.
#[derive(Default)]
pub(crate) struct Checks {
    failed: bool,
}

impl Checks {
    /// Waits for a check and prints what it has counted, or why it has failed.
    pub(crate) async fn run(&mut self, name: &str, check: impl Future<Output = Result<u64, Wrong>>) {
        let seen = match tokio::time::timeout(LONGEST, check).await {
            Ok(seen) => seen,
            Err(_) => Err(format!("nothing came of it in {LONGEST:?}").into()),
        };
        match seen {
            Ok(count) => println!("ok {name} {count}"),
            Err(wrong) => {
                self.failed = true;
                println!("failed {name}: {wrong}");
            }
        }
    }

    /// How the program is to end.
    pub(crate) fn end(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Compares what was seen with what must be.
///
/// # Errors
/// Both of them, when they differ.
#[expect(clippy::needless_pass_by_value, reason = "most of what is compared is made for it")]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, seen: T, must: T) -> Result<(), Wrong> {
    if seen == must { Ok(()) } else { Err(format!("{what}: {seen:?}, must be {must:?}").into()) }
}

/// Bytes of which a part that was lost, doubled or moved is noticed.
pub(crate) fn patterned(length: usize) -> Vec<u8> {
    // Below 251, so the lowest byte is all there is.
    (0..length).map(|at| ((at / 251 + at) % 251).to_le_bytes()[0]).collect()
}
