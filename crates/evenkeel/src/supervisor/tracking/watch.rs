//! Watches programs, files and processes: a task for each, which tells what it finds when that changes.
//!
//! At most [`MOST_SCRIPTS`] programs run at once; further ones wait. A program never runs twice at once.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use evenkeel_config::plan::{ProcessTrack, Script, Tracked};
use evenkeel_ha::message::{Finding, Standing, Verdict};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::supervisor::programs::{self, Call};

/// Findings that may wait for the supervisor; tasks wait beyond.
pub(super) const MOST_REPORTS: usize = 64;
/// Programs that run at once.
const MOST_SCRIPTS: usize = 8;
/// What is read of a file: more than the longest number.
const LONGEST_NUMBER: u64 = 64;

static PERMITS: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(MOST_SCRIPTS)));

/// Something that a task watches until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    what: Tracked,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches what is wanted; what is watched already goes on undisturbed. `user` is whom roles run as.
pub(super) fn follow(
    watched: &mut Vec<Watched>,
    wanted: &[Tracked],
    user: Option<&str>,
    reports: &mpsc::Sender<Finding>,
) {
    watched.retain(|watched| wanted.contains(&watched.what));
    for what in wanted {
        let is_ours = matches!(what, Tracked::Script(_) | Tracked::File(..) | Tracked::Process(_));
        if is_ours && !watched.iter().any(|watched| watched.what == *what) {
            let work = observe(what.clone(), user.map(str::to_owned), reports.clone());
            watched.push(Watched { what: what.clone(), task: tokio::spawn(work).abort_handle() });
        }
    }
}

async fn observe(what: Tracked, user: Option<String>, reports: mpsc::Sender<Finding>) {
    let (interval, rise, fall) = match &what {
        Tracked::Script(script) => (script.interval, script.rise, script.fall),
        Tracked::Process(process) => (process.interval, process.rise, process.fall),
        Tracked::File(_, interval) => (*interval, 1, 1),
        _ => return,
    };
    let mut streak = Streak { rise, fall, told: None, good: 0, bad: 0 };
    loop {
        let began = Instant::now();
        let found = match &what {
            Tracked::Script(script) => run(script, user.as_deref()).await,
            Tracked::Process(process) => {
                let process = process.clone();
                tokio::task::spawn_blocking(move || processes(&process))
                    .await
                    .unwrap_or_else(|_| Verdict::bad("the look failed"))
            }
            Tracked::File(path, _) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || file(&path))
                    .await
                    .unwrap_or_else(|_| Verdict::bad("the look failed"))
            }
            _ => return,
        };
        if let Some(verdict) = streak.after(found)
            && reports.send(Finding { what: what.clone(), verdict }).await.is_err()
        {
            return;
        }
        sleep_until(began + interval).await;
    }
}

/// So many results in a row change the verdict; the first one decides alone, as nothing is known before it.
struct Streak {
    rise: u32,
    fall: u32,
    told: Option<Verdict>,
    good: u32,
    bad: u32,
}

impl Streak {
    fn after(&mut self, found: Verdict) -> Option<Verdict> {
        let is_good = found.standing == Standing::Good;
        (self.good, self.bad) = if is_good { (self.good + 1, 0) } else { (0, self.bad + 1) };
        let enough = if is_good { self.good >= self.rise } else { self.bad >= self.fall };
        let other = self
            .told
            .as_ref()
            .is_none_or(|told| told.number != found.number || (told.standing != found.standing && enough));
        if other {
            self.told = Some(found.clone());
        }
        other.then_some(found)
    }
}

async fn run(track: &Script, user: Option<&str>) -> Verdict {
    let Script { command, timeout, .. } = track;
    let call = Call { command, more: &[], user: track.user.as_deref().or(user), timeout: *timeout };
    match programs::run(call, &[], None, &PERMITS).await {
        Ok(()) => Verdict::good(),
        Err(why) => Verdict::bad(why),
    }
}

fn file(path: &Path) -> Verdict {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Verdict::good(),
        Err(error) => return Verdict::bad(format!("it cannot be read: {error}")),
    };
    match text.trim() {
        "" | "0" => Verdict::good(),
        number => match number.parse::<i32>() {
            Ok(0) => Verdict::good(),
            Ok(number) => Verdict { number, ..Verdict::bad(format!("it says {number}")) },
            Err(_) => Verdict::bad("what is in it is no whole number"),
        },
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no plain file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST_NUMBER).read_to_string(&mut text)?;
    Ok(text)
}

fn processes(track: &ProcessTrack) -> Verdict {
    let entries = match std::fs::read_dir("/proc") {
        Ok(entries) => entries,
        Err(error) => return Verdict::bad(format!("/proc cannot be read: {error}")),
    };
    let is_one = |entry: &std::fs::DirEntry| {
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        is_process
            && std::fs::read(entry.path().join("comm"))
                .is_ok_and(|name| name.trim_ascii_end() == track.name.as_bytes())
            && !is_dead(&entry.path())
    };
    let count = entries.flatten().filter(is_one).take(track.least as usize).count();
    if count >= track.least as usize {
        Verdict::good()
    } else {
        Verdict::bad(format!("{count} run, {} are needed", track.least))
    }
}

/// Its parent has not asked for its end yet.
fn is_dead(process: &Path) -> bool {
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    std::fs::read_to_string(process.join("stat"))
        .ok()
        .and_then(state)
        .is_none_or(|state| matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_in_a_row_change_the_verdict_and_the_first_counts_alone() {
        let mut streak = Streak { rise: 2, fall: 3, told: None, good: 0, bad: 0 };
        let mut say = |is_good: bool| {
            let found = if is_good { Verdict::good() } else { Verdict::bad("no") };
            streak.after(found).map(|verdict| verdict.standing)
        };
        assert_eq!(say(true), Some(Standing::Good));
        assert_eq!([say(false), say(false)], [None, None]);
        assert_eq!(say(false), Some(Standing::Bad));
        assert_eq!(say(false), None);
        assert_eq!([say(true), say(false), say(true)], [None, None, None]);
        assert_eq!(say(true), Some(Standing::Good));
    }

    #[test]
    fn a_file_counts_by_its_number() {
        let directory = evenkeel_testkit::temp_dir();
        let path = directory.path().join("n");
        assert_eq!(file(&path), Verdict::good());
        for (text, number, standing) in [
            ("", 0, Standing::Good),
            ("0\n", 0, Standing::Good),
            ("3\n", 3, Standing::Bad),
            ("-2", -2, Standing::Bad),
            ("yes", 0, Standing::Bad),
        ] {
            std::fs::write(&path, text).unwrap();
            let found = file(&path);
            assert_eq!((found.number, found.standing), (number, standing), "{text}");
        }
        assert_eq!(file(directory.path()).standing, Standing::Bad);
    }

    #[test]
    fn processes_are_counted_by_name() {
        let own = std::fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
        let track = |name: &str, least| ProcessTrack {
            name: name.into(),
            least,
            interval: Duration::from_secs(1),
            rise: 1,
            fall: 1,
        };
        assert_eq!(processes(&track(&own, 1)), Verdict::good());
        assert_eq!(processes(&track("no-such-name", 1)).why.as_deref(), Some("0 run, 1 are needed"));
    }
}
