//! How much one direction moves before the other connections of its worker have their turn.
//!
//! A server and a client that are both fast would otherwise keep a worker to themselves for milliseconds, and everybody else's
//! small answers would wait. Nothing here waits for anything: who has had its turn goes on behind the others, those among them whose
//! sockets have become ready meanwhile.

use std::pin::pin;
use std::task::{Context, Poll};

/// Bytes: a turn is some 0.3 ms. With a quarter of that a response of 1 MiB costs a fifth more processor, and others are served no sooner.
const MOST: u64 = 1024 * 1024;

/// One turn of one direction, which began when it had moved so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(u64);

impl Turn {
    /// Begins with the number of bytes that the direction has moved until now.
    pub(crate) fn begin(moved: u64) -> Self {
        Self(moved)
    }

    /// Ready while it may go on; `moved` is the number of bytes that the direction has moved by now.
    pub(crate) fn poll(self, cx: &mut Context<'_>, moved: u64) -> Poll<()> {
        if moved.saturating_sub(self.0) < MOST {
            return Poll::Ready(());
        }
        // Not a wake alone: the runtime would take this one up again without a look at the sockets, some sixty times.
        pin!(tokio::task::yield_now()).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_turn_ends_with_its_share_and_others_come_before_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let one = |name: &'static str| {
            let (seen, mut turns) = (seen.clone(), 0);
            poll_fn(move |cx| {
                seen.lock().unwrap().push(name);
                let turn = Turn::begin(1_000_000);
                assert!(turn.poll(cx, 1_000_000).is_ready());
                assert!(turn.poll(cx, 1_000_000 + 1_048_575).is_ready());
                turns += 1;
                if turns == 3 { Poll::Ready(()) } else { turn.poll(cx, 1_000_000 + 1_048_576) }
            })
        };
        runtime.block_on(async {
            let (a, b) = (tokio::spawn(one("a")), tokio::spawn(one("b")));
            a.await.unwrap();
            b.await.unwrap();
        });
        // In whatever order, nobody has two turns before the other has had one.
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 6);
        for round in seen.chunks(2) {
            assert!(round.contains(&"a") && round.contains(&"b"), "{seen:?}");
        }
    }
}
