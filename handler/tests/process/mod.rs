//! The executable as a process of its own: started in an empty folder with an empty environment, watched, signalled.
//!
//! Every wait is for a condition and has a deadline; what is still running when a test ends is killed.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The longest that anything may take. Far more than needed: it only ends a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(150);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// A started process, with what it has printed so far.
pub struct Running {
    child: Child,
    /// Its id.
    pub pid: u32,
    /// Where it may put temporary files, and its working folder; both start empty.
    pub folder: TempDir,
    stdout: Stream,
    stderr: Stream,
}

/// A process that ended.
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
    /// What it left in its folders.
    pub left: Vec<PathBuf>,
}

struct Stream {
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

/// Runs the executable to its end.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    start(arguments, environment).end().await
}

/// Starts the executable. The environment holds what is given and where temporary files go.
pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["cwd", "tmp"] {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_hubward"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .env("TMPDIR", folder.path().join("tmp"))
        .current_dir(folder.path().join("cwd"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the executable starts");
    Running {
        pid: child.id().expect("a running process has an id"),
        stdout: Stream::of(child.stdout.take().expect("a pipe")),
        stderr: Stream::of(child.stderr.take().expect("a pipe")),
        child,
        folder,
    }
}

impl Running {
    /// Waits until a line on standard error contains `text`, and gives the line.
    pub async fn says(&self, text: &str) -> String {
        until(&format!("{text:?} on standard error"), || {
            self.stderr.lines().into_iter().find(|line| line.contains(text))
        })
        .await
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lines().join("\n")
    }

    /// Sends a signal by its name.
    pub async fn signal(&self, name: &str) {
        signal(self.pid, name).await;
    }

    /// Waits for the end.
    pub async fn end(mut self) -> Ended {
        let status: ExitStatus = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("the process did not end: {}", self.stderr()))
            .expect("a process that can be waited for");
        let left = ["cwd", "tmp"].map(|name| files_in(&self.folder.path().join(name)));
        Ended {
            code: status.code(),
            stdout: self.stdout.whole().await,
            stderr: self.stderr.whole().await,
            left: left.concat(),
        }
    }
}

impl Ended {
    /// Asserts a refusal as the house wants it: one line that says what is allowed, exit code 2, nothing printed or written.
    pub fn is_refused_with(&self, says: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.left, Vec::<PathBuf>::new());
        for text in says.iter().chain(&["allowed: "]) {
            assert!(self.stderr.contains(text), "{text:?} is missing: {}", self.stderr);
        }
    }
}

impl Stream {
    fn of(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut reader = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                kept.lock().expect("nobody panics with the lines").push(line);
            }
        });
        Self { lines, reader }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with the lines").clone()
    }

    /// All lines, once the pipe is closed: by the process and by every child that inherited it.
    async fn whole(self) -> String {
        tokio::time::timeout(PATIENCE, self.reader)
            .await
            .expect("no process is left that holds the pipe")
            .expect("the reader does not panic");
        let lines = self.lines.lock().expect("nobody panics with the lines");
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Waits until `look` finds something.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(GLANCE).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Sends a signal by its name, for example `KILL`.
pub async fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .status()
        .await
        .expect("a shell");
    assert!(status.success(), "no process {pid}");
}

/// The processes whose parent is `pid`, as Linux shows them.
pub fn children(pid: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{pid}");
    let is_child = |child: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        // A zombie has ended and only waits to be noticed.
        status.lines().any(|line| line == parent) && !status.lines().any(|line| line.starts_with("State:\tZ"))
    };
    let mut found: Vec<u32> = std::fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect();
    found.sort_unstable();
    found
}

/// The one process that the stand-in host, and so `local`, has started.
pub async fn handler_of(running: &Running) -> u32 {
    let found = until("a handler", || {
        Some(children(running.pid)).filter(|found| !found.is_empty())
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

/// The words a process was started with.
pub fn command_line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is still there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}
