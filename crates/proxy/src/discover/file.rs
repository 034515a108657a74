//! Reads a file that lists servers, whenever it has changed.
//!
//! Invariants: a file is read at the first look, and then when a change has stood still for one look, so that a writer is
//! not overtaken; never more than the largest document is read; a file system that hangs costs a look, not the thread.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_config::found::{List, document};

use super::Look;

/// Threads that read files; a file system that hangs keeps one.
pub(super) const MOST_READERS: usize = 4;
/// The pause before a change is read for sure.
const SETTLING: Duration = Duration::from_millis(200);
/// `O_NONBLOCK` of Linux: a pipe with this name must not wait for its writer.
const NONBLOCKING: i32 = 0o4000;

/// What is known of a file.
#[derive(Default)]
pub(super) struct Reader {
    read: Option<Stamp>,
    unsettled: Option<Stamp>,
    /// Why the file as it is cannot be used.
    trouble: Option<String>,
}

/// Two looks with the same are at the same content.
type Stamp = (i64, i64, i64, i64, u64, u64, u64);

fn stamp(path: &Path) -> Result<Stamp, String> {
    let about = std::fs::metadata(path).map_err(|error| format!("it cannot be looked at: {error}"))?;
    if !about.is_file() {
        return Err("it is no file".into());
    }
    Ok((
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
        about.len(),
        about.ino(),
        about.dev(),
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("it cannot be read: {error}");
    let file = File::options().read(true).custom_flags(NONBLOCKING).open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let one_more = u64::try_from(document::LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    file.take(one_more).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl Reader {
    pub(super) async fn look(&mut self, path: &Path, interval: Duration) -> Result<Look, String> {
        let same = |trouble: Option<String>| Ok(Look { list: None, trouble, empty: None, again: interval });
        let stamp = away(path, stamp).await?;
        if self.read == Some(stamp) {
            self.unsettled = None;
            return same(self.trouble.clone());
        }
        if self.read.is_some() && self.unsettled != Some(stamp) {
            self.unsettled = Some(stamp);
            let again = interval.min(SETTLING);
            return Ok(Look { list: None, trouble: self.trouble.clone(), empty: None, again });
        }
        self.unsettled = None;
        let bytes = away(path, read).await?;
        self.read = Some(stamp);
        match document::parse(&bytes) {
            Ok(servers) => {
                self.trouble = None;
                Ok(Look {
                    list: Some(List { servers, partial: false }),
                    trouble: None,
                    empty: None,
                    again: interval,
                })
            }
            Err(why) => {
                self.trouble = Some(why);
                same(self.trouble.clone())
            }
        }
    }
}

/// Does something with a file on another thread.
async fn away<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let path: PathBuf = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.unwrap_or_else(|error| Err(format!("it was not read: {error}")))
}
