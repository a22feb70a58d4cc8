//! The stories of `tests/scenarios/stories`: each is told as `hubward local --script` tells it and compared with its golden
//! transcript, to the letter.
//!
//! After a wanted change, read what `HUBWARD_ACCEPT_STORIES=1 cargo test -p scenarios --test stories` has written, then keep it.
#![allow(clippy::unwrap_used, reason = "a story that cannot be read has failed")]

use std::path::{Path, PathBuf};

/// Set to accept transcripts as they are.
const ACCEPT: &str = "HUBWARD_ACCEPT_STORIES";
/// Lines around the first difference that a failure shows.
const AROUND: usize = 6;

/// One test for each story, called as its file.
macro_rules! stories {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                told_as_accepted(stringify!($name));
            }
        )*
    };
}

stories! {
    application_address
    approval_is_for_once
    approve_mode
    azure_has_a_bad_day
    cluster_deleted
    dead_letters
    drift_beyond_fields
    drift_by_hand
    drift_on_the_timer
    drift_report
    duplicate_events
    first_cluster
    forged_events
    group_deleted
    ingress_address_goes_on
    ingress_managed
    ingress_provided
    killed_handler
    kubenet
    live_frontend
    managed_network
    many_clusters
    observe_mode
    offboarded_cluster
    older_than_installation
    pause_and_resume
    plan_of_leaving
    replayed_event
    rights_settle
    service_principal
    several_pools
    three_shapes
    two_clusters_in_one_network
    wait_times_out
    withheld_event
}

#[test]
fn every_story_has_its_test() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().replace('-', "_"))
        .collect();
    files.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(files, names, "stories! in this file names each story once");
}

#[test]
fn every_story_begins_with_what_it_shows() {
    for name in NAMES {
        let text = std::fs::read_to_string(path(name, "story")).unwrap();
        assert!(text.starts_with("# "), "{name} begins without a comment");
    }
}

fn told_as_accepted(name: &str) {
    let file = path(name, "story");
    let text = std::fs::read_to_string(&file).unwrap();
    let title = file.file_name().unwrap().to_string_lossy().into_owned();
    let told = hubward::cli::story(&title, &text, 1).unwrap_or_else(|error| panic!("{error}"));
    let golden = path(name, "transcript");
    if std::env::var_os(ACCEPT).is_some() {
        std::fs::write(&golden, &told.transcript).unwrap();
    }
    let accepted = std::fs::read_to_string(&golden).unwrap_or_default();
    if let Some(difference) = first_difference(&accepted, &told.transcript) {
        panic!("{}:\n{difference}\nread it; {ACCEPT}=1 accepts it", golden.display());
    }
    assert_eq!(told.broken, None, "a story tells what holds");
}

/// The first line that differs, with the lines around it.
fn first_difference(accepted: &str, told: &str) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (accepted.lines().collect(), told.lines().collect());
    let at = (0..old.len().max(new.len())).find(|at| old.get(*at) != new.get(*at))?;
    let from = at.saturating_sub(AROUND);
    let shown = |lines: &[&str], mark: char| -> String {
        let lines = lines.iter().skip(at).take(AROUND);
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    let before: String = new[from..at].iter().map(|line| format!("  {line}\n")).collect();
    Some(format!(
        "line {}:\n{before}{}{}",
        at + 1,
        shown(&old, '-'),
        shown(&new, '+')
    ))
}

fn path(name: &str, extension: &str) -> PathBuf {
    folder().join(format!("{}.{extension}", name.replace('_', "-")))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stories")
}
