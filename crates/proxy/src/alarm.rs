//! One coarse deadline of a connection that is moved with every request and almost never comes.
//!
//! Moving it later costs a store: the timer underneath stays where it is and looks at the deadline when it fires.
//! Invariant: the timer is armed no later than the deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::clock;

/// See the module.
pub(crate) struct Alarm<'a> {
    timer: Pin<&'a mut Sleep>,
    deadline: Instant,
}

impl<'a> Alarm<'a> {
    /// Uses `timer`, whose deadline is this alarm's first one.
    pub(crate) fn new(timer: Pin<&'a mut Sleep>) -> Self {
        let deadline = timer.deadline();
        Self { timer, deadline }
    }

    /// Moves the deadline to so long from now.
    pub(crate) fn set(&mut self, patience: Duration) {
        self.set_at(clock::now() + patience);
    }

    /// Moves the deadline.
    pub(crate) fn set_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Ready when the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_that_was_set_last_counts() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let timer = std::pin::pin!(tokio::time::sleep(Duration::from_secs(10)));
            let mut alarm = Alarm::new(timer);
            alarm.set(Duration::from_secs(60));
            alarm.set(Duration::from_secs(5));
            alarm.set(Duration::from_secs(30));
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            assert_eq!(start.elapsed().as_secs(), 30);
        });
    }
}
