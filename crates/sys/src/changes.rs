//! Tells of changes of files at once (inotify(7)): whoever looks at a file is woken when something happens in its directory.
//!
//! It only shortens the wait: files are looked at regularly all the same, because network file systems do not tell what other
//! machines do. So nothing is lost when a directory cannot be watched, or events are. The directory is watched and not the
//! file: whoever replaces a file makes another one. Invariant: one descriptor for all files, at most one watch for each
//! directory.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// Bytes of events that are read at once.
const EVENTS: usize = 4096;

/// All directories that are watched.
#[derive(Debug)]
pub struct Changes {
    kernel: AsyncFd<OwnedFd>,
    watches: Mutex<HashMap<i32, Vec<Weak<Notify>>>>,
}

impl Changes {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the user has as many of these as the system allows.
    pub fn open() -> std::io::Result<Arc<Self>> {
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Arc::new(Self { kernel: watched(kernel)?, watches: Mutex::default() }))
    }

    /// Wakes whoever waits, until the task is ended.
    pub async fn follow(self: Arc<Self>) {
        loop {
            let Ok(mut ready) = self.kernel.readable().await else { return };
            self.read_all();
            ready.clear_ready();
        }
    }

    fn read_all(&self) {
        let mut buffer = [MaybeUninit::uninit(); EVENTS];
        let mut events = inotify::Reader::new(self.kernel.get_ref(), &mut buffer);
        // Ends with `WouldBlock`.
        while let Ok(event) = events.next() {
            let mut watches = self.watches();
            if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
                watches.values().flatten().for_each(wake);
            } else if let Some(waiting) = watches.get_mut(&event.wd()) {
                waiting.iter().for_each(wake);
                waiting.retain(|one| one.strong_count() > 0);
                let is_over = event.events().contains(inotify::ReadFlags::IGNORED);
                if is_over || waiting.is_empty() {
                    watches.remove(&event.wd());
                    if !is_over {
                        let _it_ends_by_itself = inotify::remove_watch(self.kernel.get_ref(), event.wd());
                    }
                }
            }
        }
    }

    /// From now on `bell` is rung when something happens in the directories of `path` and of what it points to.
    fn watch(&self, path: &Path, bell: &Arc<Notify>) {
        let target = std::fs::canonicalize(path).ok();
        let mut directories: Vec<PathBuf> = [Some(path), target.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(|path| path.parent().map(Path::to_owned))
            .collect();
        directories.dedup();
        let what = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        for directory in directories {
            // Held so that an event of it cannot come before it is known.
            let mut watches = self.watches();
            if let Ok(number) = inotify::add_watch(self.kernel.get_ref(), &directory, what) {
                let waiting = watches.entry(number).or_default();
                waiting.retain(|one| one.strong_count() > 0 && !one.ptr_eq(&Arc::downgrade(bell)));
                waiting.push(Arc::downgrade(bell));
            }
        }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<i32, Vec<Weak<Notify>>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; an OwnedFd that nobody takes out again is what it asks for"
)]
fn watched(kernel: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(kernel)
}

fn wake(bell: &Weak<Notify>) {
    if let Some(bell) = bell.upgrade() {
        bell.notify_one();
    }
}

/// The bell of one file.
#[derive(Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Watches where the file is now; to be called before each look, because it may be elsewhere then.
    pub async fn watch(&self, changes: Option<&Arc<Changes>>, path: &Path) {
        let Some(changes) = changes.cloned() else { return };
        let (path, bell) = (path.to_owned(), self.0.clone());
        // A file system that hangs must not hold up the others.
        let _watched = tokio::task::spawn_blocking(move || changes.watch(&path, &bell)).await;
    }

    /// Waits until something has happened there.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn whoever_looks_at_a_file_is_woken_when_it_is_written_replaced_or_its_link_moves() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let changes = Changes::open().unwrap();
        let task = tokio::spawn(changes.clone().follow());
        let rings = async |path: &Path, change: &dyn Fn()| {
            let bell = Bell::default();
            bell.watch(Some(&changes), path).await;
            change();
            tokio::time::timeout(BOUND, bell.rung()).await.unwrap();
        };
        let plain = at("servers");
        std::fs::write(&plain, "one").unwrap();
        rings(&plain, &|| std::fs::write(&plain, "two").unwrap()).await;
        std::fs::write(at("new"), "three").unwrap();
        rings(&plain, &|| std::fs::rename(at("new"), &plain).unwrap()).await;
        // As those who mount directories for containers do it.
        for version in ["1", "2"] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("list"), version).unwrap();
        }
        let link = at("linked");
        std::os::unix::fs::symlink(at("1").join("list"), &link).unwrap();
        rings(&link, &|| std::fs::write(at("1").join("list"), "x").unwrap()).await;
        std::os::unix::fs::symlink(at("2").join("list"), at("next")).unwrap();
        rings(&link, &|| std::fs::rename(at("next"), &link).unwrap()).await;
        task.abort();
    }

    #[tokio::test]
    async fn a_directory_that_nobody_looks_at_any_more_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("servers");
        let changes = Changes::open().unwrap();
        let task = tokio::spawn(changes.clone().follow());
        let (gone, stays) = (Bell::default(), Bell::default());
        gone.watch(Some(&changes), &file).await;
        stays.watch(Some(&changes), &file).await;
        stays.watch(Some(&changes), &file).await;
        assert_eq!(changes.watches().values().map(Vec::len).collect::<Vec<_>>(), [2]);
        drop(gone);
        std::fs::write(&file, "x").unwrap();
        tokio::time::timeout(BOUND, stays.rung()).await.unwrap();
        assert_eq!(changes.watches().values().map(Vec::len).collect::<Vec<_>>(), [1]);
        task.abort();
    }
}
