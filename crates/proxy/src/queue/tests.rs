use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::AtomicU32;

use evenkeel_traffic::load::{Load, Running};
use tokio::runtime::{Builder, Runtime};

use super::*;

/// One server with so many places.
#[derive(Debug)]
struct Toy {
    line: Arc<Line>,
    pool: Arc<PoolLoad>,
    load: Arc<Load>,
    most: AtomicU32,
    settings: Settings,
}

impl Toy {
    fn new(most: u32, size: u32, timeout: Duration) -> Arc<Self> {
        let line = Arc::new(Line::new(1, 0));
        let pool = Arc::new(PoolLoad::telling(line.clone()));
        let load = Arc::new(Load::new(pool.clone()));
        Arc::new(Self { line, pool, load, most: AtomicU32::new(most), settings: Settings { size, timeout } })
    }

    fn most(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    fn now_takes(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
        self.line.changed(&self.pool);
    }

    fn take(&self) -> Option<Running> {
        self.load.begin(self.most())
    }
}

impl Rooms for Toy {
    fn line(&self) -> &Line {
        &self.line
    }

    fn load(&self) -> &PoolLoad {
        &self.pool
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    fn version(&self) -> u64 {
        0
    }

    fn has_room(&self) -> bool {
        self.load.running() < self.most()
    }

    fn is_worth_waiting(&self) -> bool {
        self.most() > 0
    }
}

type Found = (Duration, Result<Running, Refusal<Toy>>);
type Waiter = Pin<Box<dyn Future<Output = Found>>>;

fn waiter_with(toy: &Arc<Toy>, before: Option<Place<Toy>>, gone: bool) -> Waiter {
    let toy = toy.clone();
    Box::pin(async move {
        let gone = async move { if gone { ready(()).await } else { pending().await } };
        wait(&toy, 0, before, Duration::ZERO, || toy.take(), gone).await
    })
}

fn waiter(toy: &Arc<Toy>) -> Waiter {
    waiter_with(toy, None, false)
}

fn look(waiter: &mut Waiter) -> Option<Result<Running, Refusal<Toy>>> {
    match waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready((_, found)) => Some(found),
        Poll::Pending => None,
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

const LONG: Duration = Duration::from_secs(5);

#[test]
fn they_get_places_in_the_order_in_which_they_came() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let running = toy.take().unwrap();
    let (mut a, mut b) = (waiter(&toy), waiter(&toy));
    assert!(look(&mut a).is_none() && look(&mut b).is_none());
    assert!(toy.pool.is_waited());
    drop(running);
    assert!(look(&mut b).is_none(), "the second was not called");
    let running = look(&mut a).unwrap().unwrap();
    assert!(look(&mut b).is_none());
    drop(running);
    assert!(look(&mut b).unwrap().is_ok());
    assert!(!toy.pool.is_waited());
}

#[test]
fn places_that_become_free_at_once_call_as_many() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(2, 10, LONG);
    let running = (toy.take().unwrap(), toy.take().unwrap());
    let (mut a, mut b) = (waiter(&toy), waiter(&toy));
    assert!(look(&mut a).is_none() && look(&mut b).is_none());
    drop(running);
    let found = (look(&mut b).unwrap().unwrap(), look(&mut a).unwrap().unwrap());
    assert_eq!(toy.load.running(), 2);
    drop(found);
}

#[test]
fn the_call_of_one_that_has_gone_goes_to_the_next() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let running = toy.take().unwrap();
    let (mut a, mut b) = (waiter(&toy), waiter(&toy));
    assert!(look(&mut a).is_none() && look(&mut b).is_none());
    drop(running);
    drop(a);
    assert!(look(&mut b).unwrap().is_ok());
}

#[test]
fn a_full_line_refuses_at_once_and_who_leaves_makes_room() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 1, LONG);
    let _running = toy.take().unwrap();
    let mut a = waiter(&toy);
    assert!(look(&mut a).is_none());
    assert!(matches!(look(&mut waiter(&toy)), Some(Err(Refusal::Full))));
    drop(a);
    assert_eq!(toy.line.len(), 0);
    assert!(!toy.pool.is_waited());
    assert!(matches!(look(&mut waiter_with(&toy, None, true)), Some(Err(Refusal::Gone))));
    assert!(look(&mut waiter(&toy)).is_none());
    let counters = toy.line.counters.of(0);
    assert_eq!((counters.joined_total.value(), counters.refused_total.value()), (3, 1));
    assert_eq!((counters.left_total.value(), counters.timed_out_total.value()), (1, 0));
}

#[test]
fn patience_ends_exactly_when_it_should() {
    runtime().block_on(async {
        let toy = Toy::new(1, 1, LONG);
        let _running = toy.take().unwrap();
        let spent = Duration::from_secs(2);
        let (took, found) = wait(&toy, 0, None, spent, || toy.take(), pending()).await;
        assert!(matches!(found, Err(Refusal::Timeout)));
        assert_eq!(took.as_secs(), 3);
    });
}

#[test]
fn a_new_plan_gives_everybody_its_place_back() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let running = toy.take().unwrap();
    let (mut a, mut b) = (waiter(&toy), waiter(&toy));
    assert!(look(&mut a).is_none() && look(&mut b).is_none());
    toy.line.moved(1);
    let Some(Err(Refusal::Moved(second))) = look(&mut b) else { panic!("it decides again") };
    let Some(Err(Refusal::Moved(first))) = look(&mut a) else { panic!("it decides again") };
    // The second is back first, and still behind.
    let mut b = waiter_with(&toy, Some(second), false);
    let mut a = waiter_with(&toy, Some(first), false);
    assert!(look(&mut b).is_none() && look(&mut a).is_none());
    drop(running);
    let running = look(&mut a).unwrap().unwrap();
    assert!(look(&mut b).is_none());
    drop(running);
    assert!(look(&mut b).unwrap().is_ok());
}

#[test]
fn places_that_come_at_once_are_taken_in_order() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let _running = toy.take().unwrap();
    let mut waiters = [waiter(&toy), waiter(&toy), waiter(&toy)];
    assert!(waiters.iter_mut().all(|waiter| look(waiter).is_none()));
    toy.now_takes(3);
    let [a, b, c] = &mut waiters;
    assert!(look(c).is_none() && look(b).is_none());
    let _first = look(a).unwrap().unwrap();
    assert!(look(c).is_none());
    let _second = look(b).unwrap().unwrap();
    assert!(look(c).is_none(), "there is no third");
}

#[test]
fn when_no_server_is_left_everybody_is_told() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let _running = toy.take().unwrap();
    let mut waiters = [waiter(&toy), waiter(&toy), waiter(&toy)];
    assert!(waiters.iter_mut().all(|waiter| look(waiter).is_none()));
    toy.now_takes(0);
    for waiter in &mut waiters {
        assert!(matches!(look(waiter), Some(Err(Refusal::Nobody))));
    }
    assert!(!toy.pool.is_waited());
    assert!(matches!(look(&mut waiter(&toy)), Some(Err(Refusal::Nobody))));
}

#[test]
fn who_comes_with_an_old_plan_is_sent_back_once() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let running = toy.take().unwrap();
    toy.line.moved(1);
    let Some(Err(Refusal::Moved(place))) = look(&mut waiter(&toy)) else { panic!("the plan is old") };
    let mut again = waiter_with(&toy, Some(place), false);
    assert!(look(&mut again).is_none());
    drop(running);
    assert!(look(&mut again).unwrap().is_ok());
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_place_that_becomes_free_between_the_try_and_the_wait_is_seen() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let toy = Toy::new(1, 10, LONG);
    let mut running = toy.take();
    let mut waiter = std::pin::pin!(wait(
        &toy,
        0,
        None,
        Duration::ZERO,
        || {
            let found = toy.take();
            running = None;
            found
        },
        pending()
    ));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

/// Two threads and one place: whoever sleeps is woken by the other, or by nobody.
#[test]
fn two_that_alternate_never_sleep_both() {
    const TURNS: usize = 20_000;
    let toy = Toy::new(1, 1000, Duration::from_secs(20));
    let run = |toy: Arc<Toy>| {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for _ in 0..TURNS {
                let running = if toy.pool.is_waited() { None } else { toy.take() };
                let running = match running {
                    Some(running) => Ok(running),
                    None => wait(&toy, 0, None, Duration::ZERO, || toy.take(), pending()).await.1,
                };
                drop(running.unwrap());
            }
        });
    };
    let other = toy.clone();
    let thread = std::thread::spawn(move || run(other));
    run(toy.clone());
    thread.join().unwrap();
    assert_eq!((toy.line.len(), toy.load.running()), (0, 0));
}

/// Many threads take, wait, leave, change and move. A wake-up that is lost ends in a timeout.
#[test]
fn no_wake_up_is_lost() {
    const THREADS: usize = 4;
    const TASKS: usize = 6;
    const TURNS: usize = 2000;
    let toy = Toy::new(2, 1000, Duration::from_secs(30));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let toy = toy.clone();
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    let tasks: Vec<_> =
                        (0..TASKS).map(|task| tokio::spawn(turns(toy.clone(), task))).collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((toy.line.len(), toy.load.running()), (0, 0));
    assert!(!toy.pool.is_waited());

    async fn turns(toy: Arc<Toy>, task: usize) {
        for turn in 0..TURNS {
            let running = if toy.pool.is_waited() { None } else { toy.take() };
            let running = match running {
                Some(running) => Some(running),
                None => waited(&toy, turn % 7 == task).await,
            };
            assert!(toy.load.running() <= toy.most());
            if turn % 3 == 0 {
                tokio::task::yield_now().await;
            }
            drop(running);
            match turn % 50 {
                20 => toy.line.changed(&toy.pool),
                40 => toy.line.moved(turn as u64),
                _ => {}
            }
        }
    }

    async fn waited(toy: &Arc<Toy>, leaves: bool) -> Option<Running> {
        let mut before = None;
        loop {
            let gone = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                if !leaves {
                    pending::<()>().await;
                }
            };
            match wait(toy, 0, before.take(), Duration::ZERO, || toy.take(), gone).await.1 {
                Ok(running) => return Some(running),
                Err(Refusal::Gone) => return None,
                Err(Refusal::Moved(place)) => before = Some(place),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
