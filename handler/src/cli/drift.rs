//! `hubward drift`: what differs from what it should be, field by field, for every cluster in scope and every hub. It only reads,
//! with the caller's rights; `--fix` asks the app to put it right, which it does as each mode allows.
//!
//! The clusters are those that Resource Graph finds and those that the ledger knows. A promise that is not proven and a finding
//! that blocks count as well, for then nothing is written that could be compared. What was never wired or has left its hub is told
//! apart: that is no drift.

use hubward_core::estate::Subject;
use hubward_core::finding::Finding;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{FieldChange, Plan, changes, plan_hub};
use serde::Serialize;
use serde_json::{Value, json};

use super::asking::{order, post};
use super::desk::{Desk, Stop};
use super::plan::{cluster_id, look};
use super::{Exit, Output};
use crate::observe::observe;
use crate::work::{Drift, asked_of, sweep};

/// What `hubward drift --help` ends with.
const AFTER_HELP: &str = "\
Examples, on a laptop after `az login`, with credential.kind = \"developer_tools\" in the configuration:
  hubward drift
  hubward drift --cluster /subscriptions/S/resourceGroups/G/providers/Microsoft.ContainerService/managedClusters/NAME
  hubward drift --fix      (posts to the app: HUBWARD_APP and HUBWARD_APP_KEY)

AzureWebJobsStorage, if set, tells which clusters the ledger knows and what was wired before.

Exit codes: 0 nothing differs, or the app was asked, 1 something differs, 2 wrong usage or configuration, 3 unreachable";

/// The longest value that is shown to people, in characters.
const LONGEST: usize = 120;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only this cluster, by its resource id.
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// Ask the app to put right what differs.
    #[arg(long)]
    fix: bool,
    /// Why it is to be put right; it is kept.
    #[arg(long, value_name = "TEXT", requires = "fix")]
    reason: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// What differs in one cluster's wiring or one hub's rules.
#[derive(Debug, Serialize)]
struct Found {
    /// The cluster's id or the hub's name.
    name: String,
    /// False if it was never as it should be, so that what is missing is new, or if it has left its hub.
    settled_before: bool,
    /// The fields.
    changes: Vec<FieldChange>,
    /// What only a person can put right.
    findings: Vec<Finding>,
    /// The promises that are not proven, with the reason.
    unproven: Vec<String>,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl Found {
    fn of_plan(name: &str, settled_before: bool, plan: &Plan) -> Self {
        let judged = plan.proof.iter().flat_map(|proof| {
            [("egress", &proof.egress), ("reach", &proof.reach)]
                .into_iter()
                .filter(|(_, judgement)| !judgement.holds())
        });
        Self {
            name: name.to_owned(),
            settled_before,
            changes: plan.steps.iter().flat_map(changes).collect(),
            findings: plan.findings.iter().filter(|f| f.is_blocking()).cloned().collect(),
            unproven: judged
                .map(|(promise, judgement)| format!("{promise} {judgement}"))
                .collect(),
            trouble: None,
        }
    }

    fn of_trouble(name: &str, trouble: String) -> Self {
        Self {
            name: name.to_owned(),
            settled_before: true,
            changes: Vec::new(),
            findings: Vec::new(),
            unproven: Vec::new(),
            trouble: Some(trouble),
        }
    }

    /// True if it differs: in a field, in a promise, or in something that keeps it from being put right.
    fn drifted(&self) -> bool {
        let same = self.changes.is_empty() && self.findings.is_empty() && self.unproven.is_empty();
        self.settled_before && !same
    }
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let cluster = arguments
        .cluster
        .as_ref()
        .map(|id| cluster_id("--cluster", id))
        .transpose()?;
    if arguments.fix {
        let mut args = json!({"fix": true});
        if let Some(cluster) = &cluster {
            args["cluster"] = cluster.as_str().into();
        }
        let body = order("drift", args, arguments.reason.as_deref());
        return post(desk, body, arguments.json, out).await;
    }
    let (clusters, hubs) = match cluster {
        Some(cluster) => (vec![spoke(desk, &cluster, out).await?], Vec::new()),
        None => everything(desk, out).await?,
    };
    let exit = exit(clusters.iter().chain(&hubs));
    if arguments.json {
        out.json(&json!({"clusters": clusters, "hubs": hubs}));
    } else {
        show(&clusters, &hubs, out);
    }
    Ok(exit)
}

async fn everything(desk: &Desk, out: &mut Output) -> Result<(Vec<Found>, Vec<Found>), Stop> {
    let (config, ledger) = (desk.config()?, desk.ledger_if_named()?);
    let (ids, trouble) = sweep::clusters(desk.arm()?, ledger, config).await?;
    match trouble {
        Some(error) if ledger.is_none() => return Err(desk.stopped_by(&error)),
        Some(error) => out.progress(&format!(
            "only the clusters that the ledger knows are looked at: {error}"
        )),
        None => {}
    }
    let mut clusters = Vec::new();
    for id in &ids {
        match spoke(desk, id, out).await {
            Ok(found) => clusters.push(found),
            // Azure is away, or this desk lacks something: the next one would fare no better.
            Err(stop) if stop.exit != Exit::Broken => return Err(stop),
            Err(stop) => clusters.push(Found::of_trouble(id.as_str(), stop.line)),
        }
    }
    let mut hubs = Vec::new();
    for name in config.hubs.keys() {
        hubs.extend(hub(desk, name).await?);
    }
    Ok((clusters, hubs))
}

async fn spoke(desk: &Desk, id: &ResourceId, out: &mut Output) -> Result<Found, Stop> {
    let looked = look(desk, id, "--cluster", out).await?;
    Ok(Found::of_plan(
        id.as_str(),
        settled(desk, &id.key()).await?,
        &looked.plan,
    ))
}

/// The rules of a hub; `None` without a ledger, which alone knows what the clusters need.
async fn hub(desk: &Desk, name: &str) -> Result<Option<Found>, Stop> {
    let (config, Some(ledger)) = (desk.config()?, desk.ledger_if_named()?) else {
        return Ok(None);
    };
    let subject = Subject::Hub { name: name.to_owned() };
    let estate = observe(desk.arm()?, desk.clock(), config, &subject)
        .await
        .map_err(|error| desk.stopped_by(&error))?;
    let asked = asked_of(ledger, name).await?;
    let reserved = ledger.reservations.of_hub(name).await?.table;
    let plan = plan_hub(
        &estate,
        config,
        name,
        &asked.contributions,
        &asked.tombstones,
        &reserved,
    );
    Ok(Some(Found::of_plan(name, settled(desk, name).await?, &plan)))
}

/// True if the last outcome says that it was as it should be before, or if nobody knows.
async fn settled(desk: &Desk, key: &str) -> Result<bool, Stop> {
    /// What reports of clusters and of hubs have in common.
    #[derive(serde::Deserialize)]
    struct Noted {
        #[serde(default)]
        drift: Drift,
    }
    let Some(ledger) = desk.ledger_if_named()? else {
        return Ok(true);
    };
    let outcome = ledger.outcomes.get(key).await?;
    let noted = outcome.and_then(|outcome| serde_json::from_value::<Noted>(outcome.body).ok());
    Ok(noted.is_some_and(|noted| noted.drift.settled_at.is_some()))
}

fn exit<'a>(found: impl Iterator<Item = &'a Found>) -> Exit {
    let mut found = found;
    if found.any(|found| found.drifted() || found.trouble.is_some()) {
        Exit::Broken
    } else {
        Exit::Fine
    }
}

fn show(clusters: &[Found], hubs: &[Found], out: &mut Output) {
    for found in clusters.iter().chain(hubs) {
        let name = found.name.rsplit('/').next().unwrap_or_default();
        if let Some(trouble) = &found.trouble {
            out.line(&format!("{name}: cannot be looked at: {trouble}"));
            continue;
        }
        if !found.drifted() {
            continue;
        }
        out.line(&format!("{name}:"));
        for unproven in &found.unproven {
            out.line(&format!("  {unproven}"));
        }
        for finding in &found.findings {
            out.line(&format!("  finding {}: {}", finding.code.text(), finding.message));
        }
        for change in &found.changes {
            out.line(&format!("  {}", place(change)));
            out.line(&format!("    is        {}", short(&change.old)));
            out.line(&format!("    should be {}", short(&change.new)));
        }
    }
    let count = |found: &[Found], drifted: bool| found.iter().filter(|f| f.drifted() == drifted).count();
    let fresh = clusters.iter().filter(|found| !found.settled_before).count();
    out.line(&format!(
        "{} of {} clusters and {} of {} hubs differ from what they should be{}",
        count(clusters, true),
        clusters.len(),
        count(hubs, true),
        hubs.len(),
        match fresh {
            0 => String::new(),
            fresh => format!("; {fresh} not on the hub"),
        }
    ));
}

/// Resource, item and field in one line.
fn place(change: &FieldChange) -> String {
    let kind = change.resource.resource_type();
    let kind = kind.rsplit('/').next().unwrap_or_default();
    let item = change
        .item
        .as_ref()
        .map_or_else(String::new, |item| format!(" ({item})"));
    let field = if change.field.is_empty() {
        "as a whole"
    } else {
        &change.field
    };
    format!("{kind} {} {field}{item}", change.resource.name())
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}...")
}
