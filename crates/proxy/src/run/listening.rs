//! The sockets that workers accept from: opened while the plan before still holds, put in use together, given up last.
//!
//! Invariant: what may fail is done by [`Listening::open`], after which nothing has changed yet; [`Listening::follow`]
//! cannot fail.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use evenkeel_config::plan::Plan;
use evenkeel_traffic::address::Address;
use tokio::sync::{Barrier, mpsc, watch};

use super::tell;
use crate::listener::Stop;
use crate::table::{ListenerSlot, Table};
use crate::worker::{Command, Handle};

/// How long the workers may take to open their sockets.
const OPENING: Duration = Duration::from_secs(1);
/// How long a change waits for workers to close the sockets of removed binds: somewhat longer than they wait for handshakes.
const CLOSING: Duration = Duration::from_millis(1800);

/// The listener behind a bind, which a plan may exchange.
pub(crate) type Slot = Arc<ArcSwap<ListenerSlot>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// Sockets that no plan in force uses yet.
    sockets: BTreeMap<Address, Vec<OwnedFd>>,
    /// What is accepted from.
    slots: BTreeMap<Address, Slot>,
}

/// Binds that are open at every worker and wait for their listener. Dropping it closes them.
#[derive(Debug, Default)]
pub(super) struct Opened(BTreeMap<Address, watch::Sender<Option<Slot>>>);

impl Listening {
    /// Takes sockets that the supervisor has opened. For a bind that is accepted from they are to take the place of those.
    pub(super) fn take(&mut self, bind: Address, sockets: Vec<OwnedFd>) {
        self.sockets.insert(bind, sockets);
    }

    /// Says what a plan needs and was not given.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), String> {
        for listener in &plan.listeners {
            for bind in &listener.binds {
                if !self.slots.contains_key(bind) && !self.sockets.contains_key(bind) {
                    return Err(format!("no socket was given for {bind} of listener {}", listener.name));
                }
            }
        }
        Ok(())
    }

    /// Has the workers open what this plan needs and they do not have. Nothing is accepted there yet.
    pub(super) async fn open(&mut self, plan: &Plan, workers: &[Handle]) -> Result<Opened, String> {
        let mut opened = Opened::default();
        let named = plan.listeners.iter().flat_map(|listener| &listener.binds);
        let mut shares = Vec::new();
        for bind in named {
            let Some(sockets) = self.sockets.remove(bind) else { continue };
            let each = one_each(sockets, workers.len())
                .map_err(|error| format!("cannot listen on {bind}: {error}"))?;
            shares.push((bind, each));
        }
        let expected = shares.len() * workers.len();
        let (told, mut outcomes) = mpsc::channel(expected.max(1));
        for (bind, sockets) in shares {
            let (begin, begins) = watch::channel(None);
            for (worker, socket) in workers.iter().zip(sockets) {
                let (bind, begin, opened) = (bind.clone(), begins.clone(), told.clone());
                let command = Command::Listen { bind, socket, begin, opened };
                worker.commands.send(command).map_err(|_| "a worker has ended".to_owned())?;
            }
            opened.0.insert(bind.clone(), begin);
        }
        drop(told);
        let all = async {
            for _ in 0..expected {
                outcomes.recv().await.ok_or("a worker has ended")??;
            }
            Ok(opened)
        };
        tokio::time::timeout(OPENING, all)
            .await
            .unwrap_or_else(|_| Err(format!("the workers did not open their sockets within {OPENING:?}")))
    }

    /// From now on the listeners of `table`, which was made of `plan`, are accepted for. What the plan does not name is
    /// given up; what is returned waits until its sockets are closed.
    pub(super) fn follow(
        &mut self,
        plan: &Plan,
        table: &Table,
        mut opened: Opened,
        workers: &[Handle],
    ) -> Closing {
        let listeners = table.listeners.iter().zip(&plan.listeners);
        let wanted: BTreeMap<&Address, &Arc<ListenerSlot>> = listeners
            .flat_map(|(slot, listener)| listener.binds.iter().map(move |bind| (bind, slot)))
            .collect();
        for (bind, slot) in &wanted {
            if let Some(begin) = opened.0.remove(*bind) {
                let slot: Slot = Arc::new(ArcSwap::new((*slot).clone()));
                begin.send_replace(Some(slot.clone()));
                self.slots.insert((*bind).clone(), slot);
            } else if let Some(current) = self.slots.get(*bind) {
                current.store((*slot).clone());
            }
        }
        // Sockets that were sent and not named by the plan are not wanted.
        self.sockets.clear();
        let (closed, closing) = mpsc::channel(1);
        for (bind, _) in self.slots.extract_if(.., |bind, _| !wanted.contains_key(bind)) {
            let all = Arc::new(Barrier::new(workers.len()));
            tell(workers, || Command::Unlisten {
                bind: bind.clone(),
                stop: Stop { closed: closed.clone(), retire: Some(all.clone()) },
            });
        }
        Closing(closing)
    }

    /// Accepts nothing more. The sockets may be used by others, or be retired already.
    pub(super) fn leave(&mut self, workers: &[Handle]) -> Closing {
        let (closed, closing) = mpsc::channel(1);
        for bind in std::mem::take(&mut self.slots).into_keys() {
            tell(workers, || Command::Unlisten {
                bind: bind.clone(),
                stop: Stop { closed: closed.clone(), retire: None },
            });
        }
        Closing(closing)
    }
}

/// Sockets that are about to be closed.
#[derive(Debug)]
pub(super) struct Closing(mpsc::Receiver<()>);

impl Closing {
    /// Waits until they are, but not for ever.
    pub(super) async fn wait(mut self) {
        // Ends when the last sender is dropped; nothing is ever sent.
        if tokio::time::timeout(CLOSING, self.0.recv()).await.is_err() {
            tracing::warn!("a worker is slow to close the sockets of removed binds");
        }
    }
}

/// One socket for each worker; a single one is shared.
fn one_each(mut sockets: Vec<OwnedFd>, workers: usize) -> io::Result<Vec<OwnedFd>> {
    if let [shared] = sockets.as_slice() {
        let copies = (1..workers).map(|_| shared.try_clone()).collect::<io::Result<Vec<_>>>()?;
        sockets.extend(copies);
    }
    if sockets.len() != workers {
        return Err(io::Error::other("the number of sockets is not the number of workers"));
    }
    Ok(sockets)
}
