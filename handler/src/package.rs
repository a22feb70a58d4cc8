//! Assembles the script root: the folder that the Functions host runs.
//!
//! One function does it for `local`, for tests and for the deployment package, so all three run the same thing. The JSON files
//! are compiled in, so the executable is enough to make a script root anywhere. It refuses a folder that holds something else;
//! under failure a half-written root may stay behind, and assembling again completes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hubward_core::config::Drift;
use serde_json::Value;

/// The executable's name in the script root; `host.json` names it.
pub const EXECUTABLE: &str = "hubward";
/// The configuration's name in the script root.
pub const CONFIG: &str = "hubward.toml";

const HOST_JSON: &str = include_str!("../../host.json");
/// Folder name and `function.json` of every function.
const FUNCTIONS: [(&str, &str); 6] = [
    (
        "ClusterEvents",
        include_str!("../../functions/ClusterEvents/function.json"),
    ),
    ("Command", include_str!("../../functions/Command/function.json")),
    ("DriftTimer", include_str!("../../functions/DriftTimer/function.json")),
    ("Replay", include_str!("../../functions/Replay/function.json")),
    ("Status", include_str!("../../functions/Status/function.json")),
    ("Work", include_str!("../../functions/Work/function.json")),
];

/// A script root that was assembled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRoot {
    /// The folder.
    pub path: PathBuf,
    /// The executable in it.
    pub executable: PathBuf,
    /// The functions in it, by folder name.
    pub functions: Vec<&'static str>,
}

/// Why no script root could be assembled.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The target holds something that is not ours.
    #[error("{} is not empty and is no script root of hubward; name an empty folder, or empty this one", path.display())]
    NotOurs {
        /// The target.
        path: PathBuf,
    },
    /// The target holds a function that is not ours, which the host would start as well.
    #[error("{} is a function that hubward does not have; the host would start it too, so remove it first", path.display())]
    ForeignFunction {
        /// The function's folder.
        path: PathBuf,
    },
    /// The executable or the configuration is not a file.
    #[error("{} is not a file; name the {what} to put into the script root", path.display())]
    NotAFile {
        /// What it should be.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Writes `host.json`, every function's folder, the executable and, if given, the configuration into `target`.
///
/// The host finds only direct subfolders that hold a `function.json`, so the folders stand at the top. A root of ours is written
/// over; its configuration stays if none is given. The timer gets the `schedule` of the configuration, because the host reads it
/// from nowhere but `function.json`.
///
/// # Errors
/// [`PackageError`]; nothing is written if the target is not ours or a source is missing.
pub fn assemble(
    target: &Path,
    executable: &Path,
    config: Option<&Path>,
    schedule: &Drift,
) -> Result<ScriptRoot, PackageError> {
    require_file("executable", executable)?;
    if let Some(config) = config {
        require_file("configuration", config)?;
    }
    require_ours(target)?;

    create_folder(target)?;
    // host.json first: it marks the folder as ours, so that an interrupted assembly can be repeated.
    place_text(&target.join("host.json"), HOST_JSON)?;
    for (name, function_json) in FUNCTIONS {
        let folder = target.join(name);
        create_folder(&folder)?;
        place_text(&folder.join("function.json"), &scheduled(function_json, schedule))?;
    }
    if let Some(config) = config {
        place_copy(config, &target.join(CONFIG), Mode::Readable)?;
    }
    place_copy(executable, &target.join(EXECUTABLE), Mode::Executable)?;
    Ok(ScriptRoot {
        path: target.to_owned(),
        executable: target.join(EXECUTABLE),
        functions: FUNCTIONS.iter().map(|(name, _)| *name).collect(),
    })
}

/// The text with the configured schedule in its timer, if it has one.
fn scheduled(function_json: &str, drift: &Drift) -> String {
    let Ok(mut function) = serde_json::from_str::<Value>(function_json) else {
        return function_json.to_owned();
    };
    let timer = function["bindings"]
        .as_array_mut()
        .and_then(|bindings| bindings.iter_mut().find(|binding| binding["type"] == "timerTrigger"));
    let Some(timer) = timer else {
        return function_json.to_owned();
    };
    timer["schedule"] = drift.schedule.as_str().into();
    format!("{function:#}\n")
}

fn require_file(what: &'static str, path: &Path) -> Result<(), PackageError> {
    if path.is_file() {
        return Ok(());
    }
    Err(PackageError::NotAFile {
        what,
        path: path.to_owned(),
    })
}

/// The target is absent, empty, or a root whose `host.json` starts our executable.
fn require_ours(target: &Path) -> Result<(), PackageError> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", target, error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed("read", target, error))?;
    paths.sort();
    if !paths.is_empty() && !starts_our_executable(&target.join("host.json")) {
        return Err(PackageError::NotOurs {
            path: target.to_owned(),
        });
    }
    let ours = |path: &Path| {
        FUNCTIONS
            .iter()
            .any(|(name, _)| path.file_name().is_some_and(|file| file == *name))
    };
    match paths
        .into_iter()
        .find(|path| path.join("function.json").exists() && !ours(path))
    {
        Some(path) => Err(PackageError::ForeignFunction { path }),
        None => Ok(()),
    }
}

fn starts_our_executable(host_json: &Path) -> bool {
    let Ok(text) = fs::read_to_string(host_json) else {
        return false;
    };
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let named = document.pointer("/customHandler/description/defaultExecutablePath");
    named.and_then(Value::as_str) == Some(EXECUTABLE)
}

#[derive(Clone, Copy)]
enum Mode {
    Readable,
    Executable,
}

fn create_folder(path: &Path) -> Result<(), PackageError> {
    fs::create_dir_all(path).map_err(|error| failed("create the folder", path, error))
}

fn place_text(path: &Path, text: &str) -> Result<(), PackageError> {
    let partial = partial(path);
    fs::write(&partial, text).map_err(|error| failed("write", &partial, error))?;
    put_in_place(&partial, path, Mode::Readable)
}

fn place_copy(source: &Path, path: &Path, mode: Mode) -> Result<(), PackageError> {
    let partial = partial(path);
    fs::copy(source, &partial).map_err(|error| failed("copy the file to", &partial, error))?;
    put_in_place(&partial, path, mode)
}

/// Renames, because an executable that is running cannot be written over (`ETXTBSY`), and the host reads these files at any time.
fn put_in_place(partial: &Path, path: &Path, mode: Mode) -> Result<(), PackageError> {
    set_mode(partial, mode).map_err(|error| failed("set the mode of", partial, error))?;
    fs::rename(partial, path).map_err(|error| failed("put into place", path, error))
}

/// On most plans the host sets no x bit itself, and every file must be readable by all [host issue 11528].
#[cfg(unix)]
fn set_mode(path: &Path, mode: Mode) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let bits = match mode {
        Mode::Readable => 0o644,
        Mode::Executable => 0o755,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: Mode) -> io::Result<()> {
    Ok(())
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension("partial")
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> PackageError {
    PackageError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assemble(target: &Path, executable: &Path, config: Option<&Path>) -> Result<ScriptRoot, PackageError> {
        super::assemble(target, executable, config, &Drift::default())
    }

    fn executable(folder: &Path) -> PathBuf {
        let path = folder.join("built");
        fs::write(&path, b"\x7fELF of a test").unwrap();
        path
    }

    fn files_under(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(next) = pending.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_function_folder_of_the_repository_is_in_the_script_root() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
        let mut folders: Vec<String> = fs::read_dir(sources)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort();
        assert_eq!(folders, FUNCTIONS.map(|(name, _)| name));
    }

    #[test]
    fn the_script_root_holds_what_the_host_needs_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("mine.toml");
        fs::write(&config, "a = 1").unwrap();
        let target = folder.path().join("root");
        let root = assemble(&target, &executable(folder.path()), Some(&config)).unwrap();
        assert_eq!(
            files_under(&target),
            [
                "ClusterEvents/function.json",
                "Command/function.json",
                "DriftTimer/function.json",
                "Replay/function.json",
                "Status/function.json",
                "Work/function.json",
                "host.json",
                "hubward",
                "hubward.toml"
            ]
        );
        assert_eq!(fs::read_to_string(target.join("hubward.toml")).unwrap(), "a = 1");
        assert_eq!(
            root.functions,
            ["ClusterEvents", "Command", "DriftTimer", "Replay", "Status", "Work"]
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&root.executable).unwrap().permissions().mode() & 0o777,
                0o755
            );
        }
    }

    #[test]
    fn the_timer_of_the_script_root_has_the_configured_schedule() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let drift = Drift {
            schedule: "0 0 6 * * Mon-Fri".to_owned(),
        };
        super::assemble(&target, &executable(folder.path()), None, &drift).unwrap();
        let read = |name: &str| fs::read_to_string(target.join(name).join("function.json")).unwrap();
        let timer: Value = serde_json::from_str(&read("DriftTimer")).unwrap();
        assert_eq!(timer["bindings"][0]["schedule"], "0 0 6 * * Mon-Fri");
        assert_eq!(timer["bindings"][0]["type"], "timerTrigger");
        for (name, text) in FUNCTIONS {
            if name != "DriftTimer" {
                assert_eq!(read(name), text, "{name} has no schedule to change");
            }
        }
    }

    #[test]
    fn assembling_again_replaces_the_executable_and_keeps_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let built = executable(folder.path());
        assemble(&target, &built, Some(&built)).unwrap();
        fs::write(&built, b"newer").unwrap();
        assemble(&target, &built, None).unwrap();
        assert_eq!(fs::read(target.join(EXECUTABLE)).unwrap(), b"newer");
        assert!(target.join(CONFIG).exists());
        // Its own executable may be the source: `local` copies itself.
        assemble(&target, &target.join(EXECUTABLE), None).unwrap();
        assert_eq!(fs::read(target.join(EXECUTABLE)).unwrap(), b"newer");
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let built = executable(folder.path());
        let before = files_under(folder.path());
        assert!(matches!(
            assemble(folder.path(), &built, None),
            Err(PackageError::NotOurs { .. })
        ));
        fs::write(
            folder.path().join("host.json"),
            r#"{"customHandler":{"description":{"defaultExecutablePath":"other"}}}"#,
        )
        .unwrap();
        assert!(matches!(
            assemble(folder.path(), &built, None),
            Err(PackageError::NotOurs { .. })
        ));
        fs::remove_file(folder.path().join("host.json")).unwrap();
        assert_eq!(files_under(folder.path()), before);
    }

    #[test]
    fn a_function_of_somebody_else_in_our_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let built = executable(folder.path());
        assemble(&target, &built, None).unwrap();
        fs::create_dir(target.join("Old")).unwrap();
        fs::write(target.join("Old/function.json"), "{}").unwrap();
        let error = assemble(&target, &built, None).unwrap_err();
        assert!(
            matches!(&error, PackageError::ForeignFunction { path } if path.ends_with("Old")),
            "{error}"
        );
    }

    #[test]
    fn a_missing_executable_is_named_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let error = assemble(&target, &folder.path().join("absent"), None).unwrap_err();
        assert!(
            error.to_string().contains("absent is not a file; name the executable"),
            "{error}"
        );
        assert!(!target.exists());
    }

    #[test]
    fn the_embedded_files_say_what_the_host_contract_wants() {
        let host: Value = serde_json::from_str(HOST_JSON).unwrap();
        assert_eq!(host["version"], "2.0");
        assert_eq!(host["functionTimeout"], "00:05:00");
        assert_eq!(
            host["customHandler"]["description"]["defaultExecutablePath"],
            EXECUTABLE
        );
        assert_eq!(host["customHandler"]["description"]["arguments"], json!(["serve"]));
        assert_eq!(host["extensions"]["queues"]["messageEncoding"], "base64");
        for (name, text) in FUNCTIONS {
            let function: Value = serde_json::from_str(text).unwrap();
            let bindings = function["bindings"].as_array().unwrap();
            let triggers = bindings
                .iter()
                .filter(|binding| binding["type"].as_str().unwrap().ends_with("Trigger"))
                .count();
            assert_eq!(triggers, 1, "{name} must have exactly one trigger");
        }
    }
}
