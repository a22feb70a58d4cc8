//! Every interleaving of small casts of requesters and workers over the real code of [`super::keys`].
//!
//! A schedule is a list of choices: who takes the next storage step, or which worker dies now (its message comes back, as
//! the host brings it). All schedules are walked; situations already seen (same storage, same answers to everyone) are
//! walked once. At the end of each the queue is drained by a lone worker, and nothing that was wished may be left unseen.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::documents::Documents;
use super::keys::{BUSY_DELAY, Begin, FORESIGHT, Keys, OVERDUE};
use super::leases::Leases;
use super::memory::Memory;
use super::queue::{WorkKind, WorkMessage};

const KEY: &str = "/subscriptions/s/clusters/c";

/// Who takes part.
struct Cast {
    requesters: usize,
    workers: usize,
    /// How many messages each worker takes before it ends; the rest is for the drain.
    takes: usize,
    /// How many workers may die.
    deaths: usize,
    /// How often work on the key waits for Azure before it is done.
    waits: u64,
}

/// Azure, as far as this matters: a fact that wishes announce, and what was last seen of it.
#[derive(Debug, Default)]
struct World {
    fact: AtomicU64,
    seen: AtomicU64,
    waited: AtomicU64,
    /// Workers between begin and end; never two, as long as no lease runs out.
    working: AtomicU64,
}

struct Stage {
    memory: Arc<Memory>,
    world: Arc<World>,
    keys: Keys,
    waits: u64,
}

/// A worker between its lease and its end, which may be its death.
struct AtWork(Arc<World>);

impl AtWork {
    fn enter(world: &Arc<World>) -> Self {
        assert_eq!(
            world.working.fetch_add(1, Ordering::Relaxed),
            0,
            "two workers on one key"
        );
        Self(Arc::clone(world))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

type Actor = Pin<Box<dyn Future<Output = ()>>>;

impl Stage {
    fn new(waits: u64) -> Self {
        let memory = Arc::new(Memory::new());
        let documents = Documents::new(memory.clone());
        let leases = Leases::new(memory.clone(), memory.clone());
        let keys = Keys::new(documents, leases, memory.clone(), memory.clone());
        Self {
            memory,
            world: Arc::default(),
            keys,
            waits,
        }
    }

    fn requester(&self) -> Actor {
        let (keys, world, memory) = (self.keys.clone(), Arc::clone(&self.world), self.memory.clone());
        Box::pin(async move {
            memory.step(|_| world.fact.fetch_add(1, Ordering::Relaxed)).await;
            keys.request(WorkKind::Spoke, KEY, "event").await.unwrap();
        })
    }

    /// Takes up to `takes` messages; `held` always names the one it has taken and not finished with.
    fn worker(&self, takes: usize, held: Arc<std::sync::Mutex<Option<WorkMessage>>>) -> Actor {
        let (keys, world, memory, waits) = (
            self.keys.clone(),
            Arc::clone(&self.world),
            self.memory.clone(),
            self.waits,
        );
        Box::pin(async move {
            for _ in 0..takes {
                let Some(message) = memory.take().await else { return };
                *held.lock().unwrap() = Some(message.clone());
                if let Begin::Lease(lease) = keys.begin(&message).await.unwrap() {
                    let lease = *lease;
                    let at_work = AtWork::enter(&world);
                    let seen = memory.step(|_| world.fact.load(Ordering::Relaxed)).await;
                    drop(at_work);
                    if world.waited.fetch_add(1, Ordering::Relaxed) < waits {
                        keys.wait(lease, Duration::ZERO, "azure works").await.unwrap();
                    } else {
                        world.seen.fetch_max(seen, Ordering::Relaxed);
                        keys.finish(lease).await.unwrap();
                    }
                }
                *held.lock().unwrap() = None;
            }
        })
    }
}

/// One run under a schedule, as far as the first situation seen before; returns how many choices there were at each point.
fn run(cast: &Cast, schedule: &[usize], seen_before: &mut BTreeSet<u64>, wish_first: bool) -> Vec<usize> {
    let stage = Stage::new(cast.waits);
    if wish_first {
        // A wish that is already there: its message and its lease blob exist, so workers start at the interesting place.
        alone(&stage, stage.requester());
    }
    let held: Vec<_> = (0..cast.workers).map(|_| Arc::default()).collect();
    let mut actors: Vec<Option<Actor>> = Vec::new();
    actors.extend((0..cast.requesters).map(|_| Some(stage.requester())));
    actors.extend(held.iter().map(|held| Some(stage.worker(cast.takes, Arc::clone(held)))));
    // Up to each one's first step, which has not happened yet: from here on, what an actor will do follows from the
    // answers it got.
    for actor in actors.iter_mut().flatten() {
        assert!(!poll(actor));
    }
    let mut deaths = cast.deaths;
    let mut choices = Vec::new();
    loop {
        let alive: Vec<usize> = (0..actors.len()).filter(|&i| actors[i].is_some()).collect();
        let mortal: Vec<usize> = if deaths > 0 {
            alive
                .iter()
                .copied()
                .filter(|&i| i >= cast.requesters && held[i - cast.requesters].lock().unwrap().is_some())
                .collect()
        } else {
            Vec::new()
        };
        if alive.is_empty() {
            break;
        }
        let point = choices.len();
        let choice = schedule.get(point).copied().unwrap_or(0);
        if point >= schedule.len() {
            let situation = {
                let state = stage.memory.state();
                let world = format!("{:?}{alive:?}{deaths}{held:?}", stage.world);
                state.digest()
                    ^ super::documents::digest(&world).bytes().fold(7, |sum: u64, b| {
                        sum.wrapping_mul(1_099_511_628_211).wrapping_add(u64::from(b))
                    })
            };
            if !seen_before.insert(situation) {
                return choices;
            }
        }
        choices.push(alive.len() + mortal.len());
        if choice < alive.len() {
            let actor = alive[choice];
            stage.memory.state().actor = actor;
            if poll(actors[actor].as_mut().unwrap()) {
                actors[actor] = None;
            }
        } else {
            let dying = mortal[choice - alive.len()];
            actors[dying] = None;
            deaths -= 1;
            let message = held[dying - cast.requesters].lock().unwrap().take().unwrap();
            let now = stage.memory.state().now;
            stage.memory.state().messages.push((message, now));
        }
    }
    drain(&stage, cast.deaths == 0 && cast.waits == 0);
    choices
}

/// Works off the queue with time passing, then checks that nothing was lost. `promptly`: what is wished must be done before
/// any time passes, not by the messages that met a held lease and come again later.
fn drain(stage: &Stage, promptly: bool) {
    for round in 0..40 {
        alone(stage, stage.worker(8, Arc::default()));
        if promptly && round == 0 {
            let document = block_on(stage.keys.get(KEY)).unwrap();
            assert!(!document.is_owed(), "a wish waits for a lease to end: {document:?}");
        }
        if stage.memory.state().messages.is_empty() {
            let document = block_on(stage.keys.get(KEY)).unwrap();
            assert_eq!(
                document.wanted, document.done,
                "the queue is empty and something is still owed: {document:?}"
            );
            assert_eq!(
                stage.world.seen.load(Ordering::Relaxed),
                stage.world.fact.load(Ordering::Relaxed),
                "a wish was never looked at"
            );
            return;
        }
        stage.memory.state().now += BUSY_DELAY;
    }
    panic!("the queue never empties: {:?}", stage.memory.state().messages);
}

fn block_on<T: 'static>(future: impl Future<Output = Result<Option<T>, super::LedgerError>>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer.unwrap();
        }
    }
    panic!("never ready");
}

fn alone(stage: &Stage, mut actor: Actor) {
    stage.memory.state().actor = usize::MAX;
    for _ in 0..10_000 {
        if poll(&mut actor) {
            return;
        }
    }
    panic!("an actor alone does not come to an end");
}

fn poll(actor: &mut Actor) -> bool {
    actor.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Walks all schedules, depth first, and returns how many were run.
fn walk(cast: &Cast, wish_first: bool) -> usize {
    let mut seen_before = BTreeSet::new();
    let mut schedule: Vec<usize> = Vec::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let choices = run(cast, &schedule, &mut seen_before, wish_first);
        // The next schedule: the last point that has a further choice, and all before it as they were.
        schedule.resize(choices.len().max(schedule.len()), 0);
        schedule.truncate(choices.len());
        loop {
            let Some(last) = schedule.pop() else { return runs };
            if last + 1 < choices[schedule.len()] {
                schedule.push(last + 1);
                break;
            }
        }
    }
}

#[test]
fn no_wish_is_lost_between_requesters_and_a_worker() {
    let runs = walk(
        &Cast {
            requesters: 2,
            workers: 1,
            takes: 2,
            deaths: 0,
            waits: 0,
        },
        false,
    );
    assert!(runs > 100, "only {runs} schedules");
}

#[test]
fn no_wish_is_lost_between_a_requester_and_two_workers() {
    let runs = walk(
        &Cast {
            requesters: 1,
            workers: 2,
            takes: 1,
            deaths: 0,
            waits: 0,
        },
        true,
    );
    assert!(runs > 100, "only {runs} schedules");
}

#[test]
fn no_wish_is_lost_when_a_worker_dies_at_any_step() {
    let runs = walk(
        &Cast {
            requesters: 1,
            workers: 2,
            takes: 1,
            deaths: 1,
            waits: 0,
        },
        true,
    );
    assert!(runs > 100, "only {runs} schedules");
}

#[test]
fn no_wish_is_lost_while_work_waits_for_azure() {
    let runs = walk(
        &Cast {
            requesters: 1,
            workers: 2,
            takes: 1,
            deaths: 0,
            waits: 1,
        },
        true,
    );
    assert!(runs > 100, "only {runs} schedules");
}

#[test]
fn no_wish_is_lost_when_a_worker_dies_while_work_waits() {
    let runs = walk(
        &Cast {
            requesters: 0,
            workers: 2,
            takes: 2,
            deaths: 1,
            waits: 1,
        },
        true,
    );
    assert!(runs > 100, "only {runs} schedules");
}

#[test]
fn a_parked_message_that_is_lost_keeps_a_wish_out_only_until_it_is_overdue() {
    let stage = Stage::new(1);
    alone(&stage, stage.requester());
    alone(&stage, stage.worker(1, Arc::default()));
    let lost = std::mem::take(&mut stage.memory.state().messages);
    assert!(lost.iter().any(|(message, _)| message.turn == Some(1)), "{lost:?}");
    let fresh = WorkMessage::fresh(WorkKind::Spoke, KEY, "asked again without a wish of its own");
    let now = stage.memory.state().now;
    for (late, acts) in [(Duration::ZERO, false), (OVERDUE, false), (OVERDUE + BUSY_DELAY, true)] {
        stage.memory.state().now = now + late;
        let document = block_on(stage.keys.get(KEY)).unwrap();
        assert_eq!(document.is_under_way(now + late), !acts, "{late:?}: {document:?}");
        stage.memory.state().messages.push((fresh.clone(), now));
        alone(&stage, stage.worker(1, Arc::default()));
        let document = block_on(stage.keys.get(KEY)).unwrap();
        assert_eq!(document.is_owed(), !acts, "{late:?}: {document:?}");
    }
}

#[test]
fn a_turn_that_nobody_gave_out_counts_as_a_fresh_wish() {
    let stage = Stage::new(1);
    alone(&stage, stage.requester());
    alone(&stage, stage.worker(1, Arc::default()));
    let turn = |turn| WorkMessage {
        turn: Some(turn),
        ..WorkMessage::fresh(WorkKind::Spoke, KEY, "forged")
    };
    let now = stage.memory.state().now;
    stage.memory.state().messages.insert(0, (turn(1 + FORESIGHT + 1), now));
    alone(&stage, stage.worker(1, Arc::default()));
    let document = block_on(stage.keys.get(KEY)).unwrap();
    assert!(document.is_owed() && document.turn == 1, "{document:?}");
    drain(&stage, false);
}
