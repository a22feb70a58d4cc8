//! `hubward explain THING`: one sentence for each thing, why it is there and what breaks without it. THING is a cluster, or the
//! id or name of a route, rule, peering, table or role assignment that Hubward made. It only reads, with the caller's rights.

use hubward_core::explain::{Thing, cluster, things};
use hubward_core::ids::ResourceId;
use hubward_core::names;
use serde_json::json;

use super::desk::{Desk, Stop};
use super::plan::{Looked, cluster_id, look};
use super::{Exit, Output};
use crate::ledger::Ledger;
use crate::ledger::footprints::Kept;
use crate::status::{ClusterStatus, Status};

/// What `hubward explain --help` ends with.
const AFTER_HELP: &str = "\
Examples:
  hubward explain shop                             a cluster by its name, with everything that stands for it
  hubward explain aks-api-name-a9826bd9b8          a rule, by the name that Azure shows
  hubward explain /subscriptions/.../routes/hubward-default

AzureWebJobsStorage says where the ledger is, which knows whose a thing is; a cluster's resource id needs none.

Exit codes: 0 explained, 2 wrong usage, or nothing of ours has this name, 3 Azure unreachable";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// A cluster, or the id or name of a route, rule, peering, table or role assignment of ours.
    #[arg(value_name = "THING")]
    thing: String,
    /// Print as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let text = arguments.thing.as_str();
    let (id, whole) = subject(desk, text).await?;
    let Looked { estate, plan, ingress } = look(desk, &id, "THING", out).await?;
    let footprint = match desk.ledger_if_named()? {
        Some(ledger) => ledger.footprints.get(&id.key()).await?,
        None => None,
    };
    let footprint = footprint.as_ref().map(|kept| &kept.footprint);
    let all = things(&estate, desk.config()?, &plan, &id, ingress, footprint);
    let (lines, shown): (Vec<String>, Vec<Thing>) = if whole {
        (cluster(&estate, &id, &plan), all)
    } else {
        let meant: Vec<Thing> = all.into_iter().filter(|thing| thing.is_meant_by(text)).collect();
        if meant.is_empty() {
            return Err(nothing(text));
        }
        (Vec::new(), meant)
    };
    if arguments.json {
        out.json(&json!({"cluster": id, "lines": lines, "things": shown}));
        return Ok(Exit::Fine);
    }
    for line in &lines {
        out.line(line);
    }
    for thing in &shown {
        out.line(&thing.to_string());
    }
    Ok(Exit::Fine)
}

/// The cluster that a text is about, and whether it names the cluster itself.
async fn subject(desk: &Desk, text: &str) -> Result<(ResourceId, bool), Stop> {
    if let Some(id) = ResourceId::parse(text)
        .ok()
        .filter(|id| id.is_type("Microsoft.ContainerService/managedClusters"))
    {
        return Ok((id, true));
    }
    let ledger = desk.ledger()?;
    let status = Status::of(ledger).await?;
    if let Ok(known) = status.cluster(text) {
        return Ok((cluster_id("THING", &known.id)?, true));
    }
    if let Some(id) = owner(ledger, &status, text).await? {
        return Ok((id, false));
    }
    // The rules of a hub are everybody's: any of its clusters can tell of them.
    let rules = format!("{}-rules-", desk.config()?.naming.prefix);
    let last = text.rsplit('/').next().unwrap_or_default();
    let served = status.clusters.iter().filter(|_| last.starts_with(&rules));
    match served.filter_map(parsed).next() {
        Some(id) => Ok((id, false)),
        None => Err(nothing(text)),
    }
}

/// The cluster for which a thing of ours stands: its rules end with its hash, everything else is in its footprint.
async fn owner(ledger: &Ledger, status: &Status, text: &str) -> Result<Option<ResourceId>, Stop> {
    let hash = text.rsplit('-').next().unwrap_or_default().to_ascii_lowercase();
    let by_rule = status
        .clusters
        .iter()
        .filter_map(parsed)
        .find(|id| names::hash(id) == hash);
    if by_rule.is_some() {
        return Ok(by_rule);
    }
    let kept = ledger.footprints.all().await?;
    let owner = kept.documents.into_iter().find(|kept| holds(kept, text));
    Ok(owner.map(|kept| kept.footprint.cluster))
}

fn parsed(cluster: &ClusterStatus) -> Option<ResourceId> {
    ResourceId::parse(&cluster.id).ok()
}

/// True if the thing lies in a cluster's footprint, by id or by name. Names of routes are the same in every table, so those are
/// known by their ids only.
fn holds(kept: &Kept, text: &str) -> bool {
    let footprint = &kept.footprint;
    let of_places = footprint.places.iter().flat_map(|place| {
        let named = [&place.route_table, &place.hub_peering, &place.spoke_peering];
        named
            .map(|id| (id, true))
            .into_iter()
            .chain(place.routes.iter().map(|id| (id, false)))
    });
    let of_cluster = footprint.roles.iter().chain(&footprint.application_address);
    let mut all = of_places.chain(of_cluster.map(|id| (id, true)));
    all.any(|(id, by_name)| {
        let same_id = id.as_str().eq_ignore_ascii_case(text.trim_end_matches('/'));
        same_id || (by_name && id.name().eq_ignore_ascii_case(text))
    })
}

fn nothing(text: &str) -> Stop {
    Stop::usage(format!(
        "{text:?} is nothing that Hubward made or knows; allowed: a cluster, or the id or name of a route, rule, peering, table or role assignment of ours"
    ))
}
