use std::cell::Cell;

use super::*;

/// An overlay with so many drained servers.
fn overlay(servers: usize) -> Overlay {
    let entry = |n| {
        serde_json::json!({
            "pool": "web", "server": format!("s{n}"), "at": n, "by": "uid 0",
            "change": { "adjusted": { "state": "drain" } },
        })
    };
    serde_json::from_value((0..servers).map(entry).collect()).unwrap()
}

fn open(directory: &Path) -> Found {
    Store::open(Some(directory.into()), true).unwrap()
}

#[test]
fn changes_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("not/yet/there");
    let found = open(&state);
    assert!(found.overlay.is_empty() && found.alarms.is_empty());
    found.store.save(&overlay(3)).unwrap();
    drop(found);
    let found = open(&state);
    assert_eq!(found.overlay, overlay(3));
    assert_eq!(found.alarms, Vec::<String>::new());
}

/// A machine that loses power at the n-th step, and writes half of what it was writing then.
struct Dying(Cell<usize>);

impl Dying {
    fn step(&self) -> io::Result<()> {
        match self.0.get().checked_sub(1) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(io::Error::other("killed")),
        }
    }
}

impl Disk for Dying {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        for part in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            Real.write(path, &bytes[..part], mode)?;
            self.step()?;
        }
        Real.write(path, bytes, mode)?;
        self.step()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Real.rename(from, to)?;
        self.step()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Real.sync_directory(path)
    }
}

#[test]
fn whenever_the_program_is_killed_the_old_or_the_new_state_is_there() {
    let mut olds = 0;
    let mut finished = false;
    for steps in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        open(directory.path()).store.save(&overlay(2)).unwrap();
        let path = directory.path().join(NAME);
        let done = write_whole(&Dying(Cell::new(steps)), &path, &encode(&overlay(5), HEADER).unwrap(), 0o600);
        let found = open(directory.path());
        assert_eq!(found.alarms, Vec::<String>::new(), "killed after {steps} steps");
        olds += usize::from(found.overlay == overlay(2));
        assert!(found.overlay == overlay(2) || found.overlay == overlay(5), "killed after {steps} steps");
        if done.is_ok() {
            assert_eq!(found.overlay, overlay(5));
            finished = true;
            break;
        }
        // Whoever comes after can write again, whatever was left behind.
        found.store.save(&overlay(7)).unwrap();
        drop(found);
        assert_eq!(open(directory.path()).overlay, overlay(7));
    }
    // Five steps of writing and one before the rename leave the old state.
    assert_eq!((olds, finished), (6, true));
}

#[test]
fn a_damaged_file_is_set_aside_with_an_alarm_and_never_believed() {
    let whole = encode(&overlay(3), HEADER).unwrap();
    let mut other_version = whole.clone();
    other_version[25] = b'2';
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 1;
    let damaged = [b"".to_vec(), b"\n".to_vec(), whole[..whole.len() - 1].to_vec(), flipped, other_version];
    for bytes in damaged {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(NAME), &bytes).unwrap();
        let found = open(directory.path());
        assert!(found.overlay.is_empty());
        let [alarm] = found.alarms.as_slice() else { panic!("{:?}", found.alarms) };
        assert!(alarm.contains("are lost") && alarm.contains("runtime-changes.damaged now"), "{alarm}");
        assert_eq!(fs::read(directory.path().join(SET_ASIDE)).unwrap(), bytes);
        found.store.save(&overlay(1)).unwrap();
        drop(found);
        assert_eq!(open(directory.path()).overlay, overlay(1));
    }
}

#[test]
fn two_programs_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let why = Store::open(Some(directory.path().into()), true).err().unwrap();
    assert!(why.contains("another Evenkeel uses"), "{why}");
    // One that nobody named is done without.
    let without = Store::open(Some(directory.path().into()), false).unwrap();
    assert_eq!((without.store.directory(), without.alarms.len()), (None, 1));
    drop(first);
    open(directory.path());
}

#[test]
fn the_directory_is_what_was_said_or_given_or_usual() {
    let usual = Path::new(DEFAULT_CONFIG);
    let own = Path::new("/srv/e.toml");
    let cases = [
        (Some("/said"), Some("/given"), usual, Some("/said")),
        (None, Some("/given:/more"), own, Some("/given")),
        (None, Some(""), own, None),
        (None, None, usual, Some("/var/lib/evenkeel")),
        (None, None, own, None),
    ];
    for (said, given, config, expected) in cases {
        assert_eq!(directory(said.map(Path::new), given, config).as_deref(), expected.map(Path::new));
    }
}

#[test]
fn a_rewritten_file_keeps_its_mode_and_its_links() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("a.toml"), directory.path().join("link.toml"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    rewrite(&link, "new").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}
