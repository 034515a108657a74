//! The memory that heads are parsed into and written from, used again by the next connection of the thread.

use std::cell::RefCell;

use evenkeel_http::head::{RequestHead, ResponseHead};

use super::linger;
use super::note::Note;

/// Sets that a thread keeps: those of all connections that may have one while they wait.
const MOST_FREE: usize = linger::MOST;
/// Bytes of a written head that a kept set may hold; a larger one is given back to the allocator.
const KEPT_BYTES: usize = 16 * 1024;

thread_local! {
    static FREE: RefCell<Vec<Heads>> = const { RefCell::new(Vec::new()) };
}

/// One exchange's heads.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) request: RequestHead,
    pub(super) response: ResponseHead,
    /// A head as it goes out.
    pub(super) written: Vec<u8>,
    /// The memory of a note, while nobody uses it.
    pub(super) note: Option<Box<Note>>,
}

/// Takes a set for one burst of requests; give it back with [`give_back`]. One that is dropped instead is only lost to
/// the pool.
pub(super) fn take() -> Heads {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a set for later.
pub(super) fn give_back(set: Heads) {
    FREE.with_borrow_mut(|free| {
        if free.len() < MOST_FREE && set.written.capacity() <= KEPT_BYTES {
            free.push(set);
        }
    });
}
