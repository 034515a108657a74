//! The time as a worker sees it: read once for a turn of its event loop, or every [`MOST_USES`] questions.
//!
//! A request asks what time it is six to eight times, mostly within microseconds. Deadlines are coarse and latencies
//! are those of a network, so an answer may be as old as the turn: all that became ready together is served before the
//! kernel is asked again. Invariants: on a thread without [`each_turn`] every answer is exact; time never goes back.

use std::cell::Cell;

use tokio::runtime::Builder;
use tokio::time::Instant;

/// Questions that one reading answers at most, so that a long turn does not stop the time.
const MOST_USES: u8 = 16;

thread_local! {
    /// The reading of this turn, and how many questions it still answers.
    static READING: Cell<Option<(Instant, u8)>> = const { Cell::new(None) };
    static HAS_TURNS: Cell<bool> = const { Cell::new(false) };
}

/// Lets [`now`] answer by turns on the thread that this single-threaded runtime runs on.
pub(crate) fn each_turn(builder: &mut Builder) -> &mut Builder {
    builder.on_thread_unpark(|| {
        HAS_TURNS.set(true);
        READING.set(None);
    })
}

/// The time, no older than this turn of the event loop.
pub(crate) fn now() -> Instant {
    match READING.get() {
        Some((reading, uses @ 1..)) => {
            READING.set(Some((reading, uses - 1)));
            reading
        }
        _ => {
            let reading = Instant::now();
            if HAS_TURNS.get() {
                READING.set(Some((reading, MOST_USES - 1)));
            }
            reading
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn without_turns_every_answer_is_read_anew() {
        let first = now();
        while Instant::now() == first {}
        assert!(now() > first);
    }

    /// Goes on in the next turn of the event loop: what is readable is told by the kernel, which is asked between turns.
    async fn next_turn() {
        let (mut sender, receiver) = std::os::unix::net::UnixStream::pair().unwrap();
        sender.write_all(b"!").unwrap();
        receiver.set_nonblocking(true).unwrap();
        tokio::net::UnixStream::from_std(receiver).unwrap().readable().await.unwrap();
    }

    fn in_turns(test: impl Future<Output = ()>) {
        let mut builder = Builder::new_current_thread();
        each_turn(builder.enable_io()).build().unwrap().block_on(async {
            next_turn().await;
            test.await;
        });
    }

    #[test]
    fn a_reading_serves_the_turn_and_not_the_next() {
        in_turns(async {
            let first = now();
            while Instant::now() == first {}
            assert_eq!(now(), first);
            next_turn().await;
            assert!(now() > first);
        });
    }

    #[test]
    fn a_long_turn_does_not_stop_the_time() {
        in_turns(async {
            let first = now();
            while Instant::now() == first {}
            let answers: Vec<Instant> = (0..MOST_USES).map(|_| now()).collect();
            assert_eq!(answers[usize::from(MOST_USES) - 2], first);
            assert!(answers[usize::from(MOST_USES) - 1] > first);
        });
    }
}
