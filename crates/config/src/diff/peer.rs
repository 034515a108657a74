//! The link to the other node in words.

use super::Differences;
use super::shown::duration;
use crate::plan::Pair;

pub(super) fn compare(old: Option<&Pair>, new: Option<&Pair>, differences: &mut Differences) {
    match (old, new) {
        (Some(old), Some(new)) => {
            differences.compare("peer", &old.peer, &new.peer);
            let key = |pair: &Pair| pair.key_file.display().to_string();
            differences.compare("key-file", &key(old), &key(new));
            differences.compare("bind", &old.bind, &new.bind);
            let timeout = |pair: &Pair| duration(pair.handover_timeout);
            differences.compare("handover-timeout", &timeout(old), &timeout(new));
        }
        (None, Some(new)) => differences.add(format!("added (peer {})", new.peer)),
        (Some(old), None) => {
            differences.add(format!("removed (peer {}); addresses move without their connections", old.peer));
        }
        (None, None) => {}
    }
}
