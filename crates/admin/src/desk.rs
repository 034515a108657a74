//! Hands commands to the supervisor and its answers back to whoever asked.
//!
//! Invariant: every command is answered once, at the latest after [`LONGEST_ANSWER`] and with an error if need be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use evenkeel_sys::channel::Sender;
use tokio::sync::{mpsc, oneshot};

use crate::api::By;
use crate::events::Events;
use crate::message::{Answer, Command, Token, Word};
use crate::problem::Problem;

/// Commands that may wait for the supervisor at once; further ones are answered 503.
pub const MOST_WAITING: usize = 64;
/// How long a command waits for its answer, then it is answered 504. A reload opens sockets and waits for the workers,
/// which the supervisor bounds more tightly.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(45);

/// The way to the supervisor. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Desk {
    words: mpsc::Sender<Word>,
    waiting: Arc<Mutex<Waiting>>,
    events: Arc<Events>,
    token: Arc<Mutex<Option<Token>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    askers: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Desk {
    /// A desk, and what it has to say to the supervisor in order.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Word>) {
        let (words, outbox) = mpsc::channel(MOST_WAITING);
        (Self { words, waiting: Arc::default(), events: Arc::default(), token: Arc::default() }, outbox)
    }

    /// What happened.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// What whoever steers over TCP must know now.
    pub(crate) fn token(&self) -> Option<Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this is the token.
    pub(crate) fn set_token(&self, token: Option<Token>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here can be left half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the supervisor and waits for what it says.
    pub(crate) async fn ask(&self, by: By, command: Command) -> Result<Answer, Problem> {
        let (asker, answer) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting();
            if waiting.askers.len() >= MOST_WAITING {
                return Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("{MOST_WAITING} commands wait for an answer already: ask again later"),
                ));
            }
            waiting.next_id += 1;
            let id = waiting.next_id;
            waiting.askers.insert(id, asker);
            id
        };
        // A client that goes away drops this future: its place must become free all the same.
        let _place = Place { desk: self, id };
        let gone = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the supervisor is ending");
        self.words.send(Word::Request { id, by: by.0.to_string(), command }).await.map_err(|_| gone())?;
        match tokio::time::timeout(LONGEST_ANSWER, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("the supervisor gave no answer within {} s: see its log", LONGEST_ANSWER.as_secs()),
            )),
        }
    }

    /// Says something that has no answer.
    pub(crate) async fn say(&self, word: Word) {
        // When nobody listens any more, the channel's other half says so as well.
        let _ = self.words.send(word).await;
    }

    /// Ends every wait: no answer will come any more.
    pub(crate) fn close(&self) {
        self.waiting().askers.clear();
        self.events.end();
    }

    /// Passes an answer on; one that nobody waits for any more is dropped.
    pub fn answer(&self, id: u64, answer: Answer) {
        if let Some(asker) = self.waiting().askers.remove(&id) {
            let _ = asker.send(answer);
        }
    }
}

/// Somebody's place among those who wait.
struct Place<'a> {
    desk: &'a Desk,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.desk.waiting().askers.remove(&self.id);
    }
}

/// Carries what is to be said to the supervisor until one of the two ends.
pub(crate) async fn speak(mut outbox: mpsc::Receiver<Word>, mut sender: Sender) {
    while let Some(word) = outbox.recv().await {
        if let Err(error) = sender.send(&word, &[]).await {
            tracing::warn!("the supervisor does not take our words: {error}");
            return;
        }
    }
}
