//! A blob's lease and its states, as the table "Outcomes of lease operations on blobs by lease state" of the REST
//! reference has them. State follows from the time of the question; nothing has to be swept.

use time::{Duration, OffsetDateTime};

use super::call::Call;
use super::reply::{Refusal, Reply};

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Leased,
    Breaking,
    Broken,
    Expired,
}

impl State {
    fn holds(self) -> bool {
        matches!(self, Self::Leased | Self::Breaking)
    }
}

/// A lease that was acquired and not released.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    id: String,
    /// Seconds; `None` is infinite.
    seconds: Option<i64>,
    ends: Option<OffsetDateTime>,
    broken_from: Option<OffsetDateTime>,
}

impl Lease {
    fn taken(id: String, seconds: Option<i64>, now: OffsetDateTime) -> Self {
        Self {
            id,
            seconds,
            ends: seconds.map(|seconds| now + Duration::seconds(seconds)),
            broken_from: None,
        }
    }

    fn state(&self, now: OffsetDateTime) -> State {
        match (self.broken_from, self.ends) {
            (Some(broken), _) if now < broken => State::Breaking,
            (Some(_), _) => State::Broken,
            (None, Some(ends)) if ends <= now => State::Expired,
            (None, _) => State::Leased,
        }
    }

    /// When the state changes by itself.
    pub(super) fn turns(&self) -> Option<OffsetDateTime> {
        self.broken_from.or(self.ends)
    }
}

/// The words of `x-ms-lease-state`, `x-ms-lease-status` and `x-ms-lease-duration` for a blob.
pub(super) fn words(lease: Option<&Lease>, now: OffsetDateTime) -> (&'static str, &'static str, Option<&'static str>) {
    let Some(lease) = lease else {
        return ("available", "unlocked", None);
    };
    match lease.state(now) {
        State::Leased if lease.seconds.is_some() => ("leased", "locked", Some("fixed")),
        State::Leased => ("leased", "locked", Some("infinite")),
        State::Breaking => ("breaking", "locked", None),
        State::Broken => ("broken", "unlocked", None),
        State::Expired => ("expired", "unlocked", None),
    }
}

/// Judges a write or delete of a blob, which needs the id of a lease that holds. A lease that no longer holds is
/// forgotten by the write: its owner cannot renew it any more.
pub(super) fn check_write(lease: &mut Option<Lease>, call: &Call<'_>, now: OffsetDateTime) -> Result<(), Refusal> {
    check_given(lease.as_ref(), call, now)?;
    match lease.as_ref().map(|lease| lease.state(now).holds()) {
        Some(true) if call.header("x-ms-lease-id").is_none() => Err(Refusal::new(
            412,
            "LeaseIdMissing",
            "There is currently a lease on the blob and no lease ID was specified in the request.",
        )),
        Some(true) => Ok(()),
        Some(false) | None => {
            *lease = None;
            Ok(())
        }
    }
}

/// Judges the lease id of any request that names one; reads need none.
pub(super) fn check_given(lease: Option<&Lease>, call: &Call<'_>, now: OffsetDateTime) -> Result<(), Refusal> {
    let Some(given) = call.header("x-ms-lease-id") else {
        return Ok(());
    };
    let Some(lease) = lease else {
        return Err(Refusal::new(
            412,
            "LeaseNotPresentWithBlobOperation",
            "There is currently no lease on the blob.",
        ));
    };
    if !lease.id.eq_ignore_ascii_case(given) {
        return Err(Refusal::new(
            412,
            "LeaseIdMismatchWithBlobOperation",
            "The lease ID specified did not match the lease ID for the blob.",
        ));
    }
    if lease.state(now).holds() {
        Ok(())
    } else {
        Err(Refusal::new(
            412,
            "LeaseLost",
            "A lease ID was specified, but the lease for the blob has expired.",
        ))
    }
}

/// Performs `comp=lease`. `fresh` is the id to use if the caller proposes none.
pub(super) fn act(
    slot: &mut Option<Lease>,
    call: &Call<'_>,
    fresh: String,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    match call.required_header("x-ms-lease-action")? {
        "acquire" => acquire(slot, call, fresh, now),
        "renew" => renew(slot, call, now),
        "change" => change(slot, call, now),
        "release" => release(slot, call),
        "break" => break_off(slot, call, now),
        other => Err(Refusal::invalid_header("x-ms-lease-action", other)),
    }
}

fn acquire(slot: &mut Option<Lease>, call: &Call<'_>, fresh: String, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let text = call.required_header("x-ms-lease-duration")?;
    let seconds = match text.parse::<i64>() {
        Ok(-1) => None,
        Ok(seconds) if (15..=60).contains(&seconds) => Some(seconds),
        Ok(_) | Err(_) => return Err(Refusal::invalid_header("x-ms-lease-duration", text)),
    };
    let proposed = call.header("x-ms-proposed-lease-id").map(str::to_owned);
    if let Some(lease) = slot.as_ref() {
        let same = proposed.as_ref().is_some_and(|id| lease.id.eq_ignore_ascii_case(id));
        match lease.state(now) {
            State::Leased if !same => return Err(already_present()),
            State::Breaking if same => {
                return Err(Refusal::new(
                    409,
                    "LeaseIsBreakingAndCannotBeAcquired",
                    "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken.",
                ));
            }
            State::Breaking => return Err(already_present()),
            State::Leased | State::Broken | State::Expired => {}
        }
    }
    let id = proposed.unwrap_or(fresh);
    let reply = Reply::new(201).header("x-ms-lease-id", &id);
    *slot = Some(Lease::taken(id, seconds, now));
    Ok(reply)
}

fn renew(slot: &mut Option<Lease>, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let lease = named(slot, call)?;
    match lease.state(now) {
        State::Leased | State::Expired => {
            *lease = Lease::taken(lease.id.clone(), lease.seconds, now);
            Ok(Reply::new(200).header("x-ms-lease-id", &lease.id))
        }
        State::Breaking | State::Broken => Err(Refusal::new(
            409,
            "LeaseIsBrokenAndCannotBeRenewed",
            "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.",
        )),
    }
}

fn change(slot: &mut Option<Lease>, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let given = call.required_header("x-ms-lease-id")?;
    let proposed = call.required_header("x-ms-proposed-lease-id")?;
    let lease = slot.as_mut().ok_or_else(not_present)?;
    match lease.state(now) {
        State::Leased => {}
        State::Breaking => {
            return Err(Refusal::new(
                409,
                "LeaseIsBreakingAndCannotBeChanged",
                "The lease ID matched, but the lease is currently in breaking state and cannot be changed.",
            ));
        }
        State::Broken | State::Expired => return Err(not_present()),
    }
    if ![given, proposed].iter().any(|id| lease.id.eq_ignore_ascii_case(id)) {
        return Err(mismatch());
    }
    lease.id = proposed.to_owned();
    Ok(Reply::new(200).header("x-ms-lease-id", proposed))
}

fn release(slot: &mut Option<Lease>, call: &Call<'_>) -> Result<Reply, Refusal> {
    named(slot, call)?;
    *slot = None;
    Ok(Reply::new(200))
}

fn break_off(slot: &mut Option<Lease>, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let asked = match call.header("x-ms-lease-break-period") {
        None => None,
        Some(text) => match text.parse::<i64>() {
            Ok(seconds) if (0..=60).contains(&seconds) => Some(Duration::seconds(seconds)),
            Ok(_) | Err(_) => {
                return Err(Refusal::invalid_header("x-ms-lease-break-period", text));
            }
        },
    };
    let lease = slot.as_mut().ok_or_else(not_present)?;
    let remaining = lease.turns().map(|ends| (ends - now).max(Duration::ZERO));
    // Without a period a fixed lease runs out and an infinite one ends at once; a period can only shorten.
    let wait = match (asked, remaining) {
        (Some(asked), Some(remaining)) => asked.min(remaining),
        (Some(asked), None) => asked,
        (None, Some(remaining)) => remaining,
        (None, None) => Duration::ZERO,
    };
    lease.broken_from = Some(now + wait);
    Ok(Reply::new(202).header("x-ms-lease-time", wait.whole_seconds().to_string()))
}

fn named<'a>(slot: &'a mut Option<Lease>, call: &Call<'_>) -> Result<&'a mut Lease, Refusal> {
    let given = call.required_header("x-ms-lease-id")?;
    slot.as_mut()
        .filter(|lease| lease.id.eq_ignore_ascii_case(given))
        .ok_or_else(mismatch)
}

fn already_present() -> Refusal {
    Refusal::new(409, "LeaseAlreadyPresent", "There is already a lease present.")
}

fn mismatch() -> Refusal {
    Refusal::new(
        409,
        "LeaseIdMismatchWithLeaseOperation",
        "The lease ID specified did not match the lease ID for the blob.",
    )
}

fn not_present() -> Refusal {
    Refusal::new(
        409,
        "LeaseNotPresentWithLeaseOperation",
        "There is currently no lease on the blob.",
    )
}
