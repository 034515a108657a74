//! Goes with one role process of a program before: says what it is told, passes on what that says, sees its end.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_sys::channel::{Channel, Receiver, Sender};
use evenkeel_sys::process::successor::Adopted;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::News;

/// Words that may wait for an old role to read them; one that does not read is not told more.
const MOST_WORDS: usize = 16;
/// How long what an ended process has said is read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What an old role says.
#[derive(Debug)]
pub(in super::super) enum Said {
    /// A word, of whatever version.
    Word(Value),
    /// It has ended, in words.
    End(String),
}

/// See the module. Dropping it leaves the process alone.
#[derive(Debug)]
pub(super) struct Companion<Order> {
    orders: mpsc::Sender<Order>,
    kill: Arc<Notify>,
}

impl<Order: Serialize + Send + Sync + 'static> Companion<Order> {
    pub(super) fn start(pid: u32, channel: &Arc<OwnedFd>, news: &mpsc::Sender<News>) -> Self {
        let (orders, told) = mpsc::channel(MOST_WORDS);
        let kill = Arc::new(Notify::new());
        let (channel, killed, news) = (channel.try_clone(), Arc::clone(&kill), news.clone());
        tokio::spawn(async move {
            let how = match (Adopted::watch(pid), channel.and_then(Channel::from_fd)) {
                (Ok(process), Ok(channel)) => {
                    let (sender, receiver) = channel.split();
                    Watch { pid, process, sender, receiver, told, killed, news: &news }.go().await
                }
                (Err(error), _) => format!("it had ended already ({error})"),
                (_, Err(error)) => format!("it cannot be spoken to: {error}"),
            };
            // When nobody listens the program is ending.
            let _ = news.send(News { pid, said: Said::End(how) }).await;
        });
        Self { orders, kill }
    }

    pub(super) fn tell(&self, order: Order) {
        // One that does not read is killed when its time is over.
        let _ = self.orders.try_send(order);
    }

    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }
}

struct Watch<'a, Order> {
    pid: u32,
    process: Adopted,
    sender: Sender,
    receiver: Receiver,
    told: mpsc::Receiver<Order>,
    killed: Arc<Notify>,
    news: &'a mpsc::Sender<News>,
}

impl<Order: Serialize> Watch<'_, Order> {
    async fn go(mut self) -> String {
        let (mut readable, mut writable) = (true, true);
        let how = loop {
            tokio::select! {
                how = self.process.end() => break how,
                () = self.killed.notified() => self.process.kill(),
                received = self.receiver.receive::<Value>(), if readable => match received {
                    Ok(Some((word, _))) => self.pass(word).await,
                    Ok(None) | Err(_) => readable = false,
                },
                Some(order) = self.told.recv(), if writable => {
                    writable = self.sender.send(&order, &[]).await.is_ok();
                }
            }
        };
        let last = async {
            while let Ok(Some((word, _))) = self.receiver.receive::<Value>().await {
                self.pass(word).await;
            }
        };
        if readable {
            let _ = tokio::time::timeout(LAST_WORDS, last).await;
        }
        how
    }
}

impl<Order> Watch<'_, Order> {
    async fn pass(&self, word: Value) {
        let _ = self.news.send(News { pid: self.pid, said: Said::Word(word) }).await;
    }
}
