//! Replay: events that were archived, or that Event Grid gave up, wish again what they wished.
//!
//! They are decoded, judged and requested by the same code as when they come from Event Grid; only the cause names the replay. So
//! an old creation of a deleted cluster, or a deletion of a living one, makes one look that finds nothing to do. A dry run says
//! the same and requests nothing. Each call ends in time and says whether there is more.

use std::collections::{BTreeMap, BTreeSet};

use hubward_core::config::Config;
use hubward_core::event::{Event, Malformed, decode_all};
use hubward_core::ids::ResourceId;
use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::clock::Clock;
use crate::ledger::archive::{ArchivedEvent, MAX_DAYS};
use crate::ledger::queue::WorkKind;
use crate::ledger::{Ledger, LedgerError};
use crate::wishes::{self, Heard, Says, Wish};

/// For how long one call goes on; the caller of an http function waits 230 s at most.
const CALL: Duration = Duration::seconds(60);

/// What to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The event of this id.
    Event(String),
    /// A cluster: its events of the last 31 days, and a look in any case.
    Cluster(ResourceId),
    /// Everything that happened since.
    Since(OffsetDateTime),
    /// What Event Grid could not deliver and nobody has replayed yet.
    DeadLetters,
}

/// What came of a replay.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The events, oldest first, dead letters in the order of their names.
    pub events: Vec<ReplayedEvent>,
    /// The keys that were wished; of a dry run, that would be.
    pub requested: BTreeSet<String>,
    /// What could not be read; it is left where it is.
    pub damaged: Vec<DamagedEvent>,
    /// True if time ran out before the end: the same call goes on with the rest.
    pub more: bool,
    /// With which `since` a call goes on.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
}

/// One event of a replay.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedEvent {
    /// Its id.
    pub id: String,
    /// When it happened, by its own word.
    #[serde(with = "time::serde::rfc3339")]
    pub happened_at: OffsetDateTime,
    /// The ARM operation.
    pub operation: String,
    /// The resource.
    pub resource: String,
    /// What it is to us.
    pub verdict: String,
    /// The first key it wishes; none if it is nothing to us.
    pub key: Option<String>,
}

/// Something that is no event.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DamagedEvent {
    /// Where it lies.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// What is asked for cannot be.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a replay works with.
pub struct Replay<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The configuration.
    pub config: &'a Config,
    /// Azure time.
    pub clock: &'a dyn Clock,
    /// Only says what would be done.
    pub dry_run: bool,
}

impl Replay<'_> {
    /// Replays.
    ///
    /// # Errors
    /// [`ReplayError`]; what was requested before it stays requested.
    pub async fn run(&self, what: &What) -> Result<Replayed, ReplayError> {
        match what {
            What::Event(id) => self.event(id).await,
            What::Cluster(id) => self.cluster(id).await,
            What::Since(from) => self.since(*from).await,
            What::DeadLetters => self.dead_letters().await,
        }
    }

    async fn event(&self, id: &str) -> Result<Replayed, ReplayError> {
        let found = self.ledger.archive.by_id(id).await?;
        if found.is_empty() {
            return Err(ReplayError::NotFound(format!(
                "event {id} is not in the archive; replay its cluster, or the dead letters"
            )));
        }
        let mut replayed = Replayed::default();
        let mut wanted = Wanted::default();
        for archived in &found {
            self.archived(archived, &mut replayed, &mut wanted);
        }
        self.request(wanted, &mut replayed).await?;
        Ok(replayed)
    }

    async fn cluster(&self, id: &ResourceId) -> Result<Replayed, ReplayError> {
        if !self.config.scope.covers(id) {
            return Err(ReplayError::Refused(format!(
                "{id} is not in the configured scope; allowed: clusters of scope.subscriptions that are not excluded"
            )));
        }
        let now = self.clock.now();
        let mut replayed = Replayed::default();
        let mut wanted = Wanted::default();
        wanted.add(
            &id.key(),
            WorkKind::Spoke,
            Says::Changed,
            format!("replay of cluster {}", id.name()),
        );
        // More events than can be read tell nothing that the look would not find.
        let found = match self.ledger.archive.between(now - Duration::days(MAX_DAYS), now).await {
            Ok(found) => found.documents,
            Err(LedgerError::TooMany { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for archived in found.iter().filter(|archived| concerns(archived, id)) {
            self.archived(archived, &mut replayed, &mut wanted);
        }
        self.request(wanted, &mut replayed).await?;
        Ok(replayed)
    }

    async fn since(&self, from: OffsetDateTime) -> Result<Replayed, ReplayError> {
        let now = self.clock.now();
        if from > now {
            return Err(ReplayError::Refused(format!(
                "{from} has not come yet; allowed: a time of the last {MAX_DAYS} days"
            )));
        }
        if now - from > Duration::days(MAX_DAYS) {
            return Err(ReplayError::Refused(format!(
                "{from} is longer ago than {MAX_DAYS} days; a sweep looks at every cluster: hubward drift --fix"
            )));
        }
        // Up to and with this moment.
        let found = self.ledger.archive.between(from, now + Duration::SECOND).await?;
        let mut replayed = Replayed::default();
        replayed
            .damaged
            .extend(found.damaged.into_iter().map(|damaged| DamagedEvent {
                name: damaged.name,
                reason: damaged.reason,
            }));
        let mut wanted = Wanted::default();
        for archived in &found.documents {
            if self.clock.now() - now > CALL {
                replayed.more = true;
                replayed.from = Some(archived.happened_at);
                break;
            }
            self.archived(archived, &mut replayed, &mut wanted);
        }
        self.request(wanted, &mut replayed).await?;
        Ok(replayed)
    }

    async fn dead_letters(&self) -> Result<Replayed, ReplayError> {
        let container = &self.config.events.dead_letter_container;
        let Some(waiting) = self.ledger.dead_letters.waiting(container).await? else {
            return Err(ReplayError::NotFound(format!(
                "there is no container {container}; name it as the dead-letter destination of the event subscription"
            )));
        };
        let began = self.clock.now();
        let mut replayed = Replayed::default();
        for blob in waiting {
            if self.clock.now() - began > CALL {
                replayed.more = true;
                break;
            }
            if let Err(reason) = self.dead_letter(container, &blob, &mut replayed).await? {
                replayed.damaged.push(DamagedEvent { name: blob, reason });
            }
        }
        Ok(replayed)
    }

    /// One blob: an array of events as a rule, in either schema. The inner error is what is wrong with it.
    async fn dead_letter(
        &self,
        container: &str,
        blob: &str,
        replayed: &mut Replayed,
    ) -> Result<Result<(), String>, ReplayError> {
        let Some(content) = self.ledger.dead_letters.read(container, blob).await? else {
            return Ok(Ok(()));
        };
        let Ok(content) = serde_json::from_slice::<Value>(&content) else {
            return Ok(Err("it is not JSON".to_owned()));
        };
        let bodies = match content {
            Value::Array(bodies) => bodies,
            one @ (Value::Object(_) | Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_)) => vec![one],
        };
        let mut reason = None;
        let mut wanted = Wanted::default();
        for body in &bodies {
            match only(body) {
                Ok(event) => {
                    let cause = format!("replay of dead letter {}", event.id);
                    let heard = self.judged(&event, cause, replayed, &mut wanted);
                    if !self.dry_run && !heard.wishes.is_empty() {
                        // It was never taken, so it is not in the archive yet.
                        let archived = ArchivedEvent::of(&event, body, self.clock.now());
                        self.ledger.archive.keep(&archived).await?;
                    }
                }
                Err(malformed) => reason = Some(malformed.to_string()),
            }
        }
        self.request(wanted, replayed).await?;
        if let Some(reason) = reason {
            return Ok(Err(reason));
        }
        if !self.dry_run {
            let now = self.clock.now();
            self.ledger.dead_letters.note_replayed(container, blob, now).await?;
        }
        Ok(Ok(()))
    }

    fn archived(&self, archived: &ArchivedEvent, replayed: &mut Replayed, wanted: &mut Wanted) {
        match of_id(archived) {
            Ok(event) => {
                let cause = format!("replay of event {}", event.id);
                self.judged(&event, cause, replayed, wanted);
            }
            Err(malformed) => replayed.damaged.push(DamagedEvent {
                name: archived.id.clone(),
                reason: malformed.to_string(),
            }),
        }
    }

    fn judged(&self, event: &Event, cause: String, replayed: &mut Replayed, wanted: &mut Wanted) -> Heard {
        let now = self.clock.now();
        let heard = wishes::of_event(self.config, event);
        replayed.events.push(ReplayedEvent {
            id: event.id.clone(),
            happened_at: event.time.unwrap_or(now),
            operation: event.operation.clone(),
            resource: event.resource.to_string(),
            verdict: heard.verdict.clone(),
            key: heard.wishes.first().map(|wish| wish.key.clone()),
        });
        for wish in &heard.wishes {
            wanted.add(&wish.key, wish.kind, wish.says, cause.clone());
        }
        heard
    }

    async fn request(&self, wanted: Wanted, replayed: &mut Replayed) -> Result<(), ReplayError> {
        for (wish, cause) in wanted.wishes() {
            if !self.dry_run {
                wishes::make(self.ledger, &wish, &cause).await?;
            }
            replayed.requested.insert(wish.key);
        }
        Ok(())
    }
}

/// What several events wish: of those that say the same of one key, the last one.
#[derive(Default)]
struct Wanted(BTreeMap<(String, WorkKind, u8), (Says, String)>);

impl Wanted {
    fn add(&mut self, key: &str, kind: WorkKind, says: Says, cause: String) {
        let sort = match says {
            Says::Changed => 0,
            Says::Created(_) => 1,
            Says::Deleted(_) => 2,
        };
        let last = self
            .0
            .entry((key.to_owned(), kind, sort))
            .or_insert((says, String::new()));
        *last = (last.0.max(says), cause);
    }

    fn wishes(self) -> impl Iterator<Item = (Wish, String)> {
        self.0
            .into_iter()
            .map(|((key, kind, _), (says, cause))| (Wish { key, kind, says }, cause))
    }
}

/// The one event of a body.
fn only(body: &Value) -> Result<Event, Malformed> {
    decode_all(body)?
        .into_iter()
        .next()
        .unwrap_or(Err(Malformed::NotAnObject("an empty array")))
}

/// The event of an archived body; a delivery of several was kept whole.
fn of_id(archived: &ArchivedEvent) -> Result<Event, Malformed> {
    let mut events = decode_all(&archived.body)?.into_iter();
    events
        .find(|event| event.as_ref().is_ok_and(|event| event.id == archived.id))
        .unwrap_or_else(|| only(&archived.body))
}

/// True if the event is about the cluster, one of its pools, or its resource group.
fn concerns(archived: &ArchivedEvent, cluster: &ResourceId) -> bool {
    of_id(archived).is_ok_and(|event| event.resource.is_within(cluster) || cluster.is_within(&event.resource))
}
