//! Programs of the operator's, for what no client can do: making accounts, locking them.
use crate::http::cancel::Cancellation;
use crate::redact::Redactor;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Time limit of a program, together with those of its children that still hold its output.
const LONGEST: Duration = Duration::from_secs(60);
/// Time for children to write the rest of their output when the program itself has ended.
const AFTER_ITS_END: Duration = Duration::from_secs(1);
/// Maximum output of a program, to standard output and standard error each, in bytes.
const MOST_OUTPUT: usize = 1 << 20;

/// Maximum length of the shown output of a failed program, in characters.
const LONGEST_SHOWN: usize = 300;

/// A command line without a program to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCommand {
    /// One half of a pair of quotation marks is missing.
    #[error("a quotation mark is not closed")]
    OpenQuotation,
    /// There is no word in it.
    #[error("it is empty")]
    NoProgram,
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalCommand {
    name: String,
    arguments: Vec<String>,
    longest: Duration,
}

impl ExternalCommand {
    /// Splits a command line into words by the quoting rules of a shell. No shell reads it: variables,
    /// pipes and wildcards mean nothing.
    pub fn parse(line: &str) -> Result<ExternalCommand, InvalidCommand> {
        let words = shlex::split(line).ok_or(InvalidCommand::OpenQuotation)?;
        let mut words = words.into_iter();
        let name = words.next().ok_or(InvalidCommand::NoProgram)?;
        Ok(ExternalCommand { name, arguments: words.collect(), longest: LONGEST })
    }

    /// Runs it to its end, with these variables beside those of the environment, and gives what it
    /// printed. It reads nothing and has no terminal. It is killed when it takes longer than a minute, prints more than
    /// a mebibyte, or the run stops; on unix every process that it left behind in its process group ends with it.
    ///
    /// # Errors
    /// It cannot be started, is killed, or ends with another status than 0: in words, with the
    /// end of what it wrote to standard error.
    pub(crate) async fn run(
        &self,
        told: &[(&str, &str)],
        stop: &Cancellation,
    ) -> Result<String, Failed> {
        let mut command = Command::new(&self.name);
        command
            .args(&self.arguments)
            .envs(told.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(|error| self.failed(&format!("cannot be started: {error}"), ""))?;
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.longest, ended(child)) => ended,
            () = stop.stopped() => return Err(self.failed("was stopped with the run", "")),
        };
        match ended {
            Err(_) => {
                let how = format!("took longer than {} s", self.longest.as_secs_f64());
                Err(self.failed(&how, ""))
            }
            Ok(Err(error)) => Err(self.failed(&error.to_string(), "")),
            Ok(Ok(ended)) if ended.status.success() => String::from_utf8(ended.printed)
                .map_err(|_| self.failed("printed something that is not UTF-8", "")),
            Ok(Ok(ended)) => Err(self.unsuccessful(&ended)),
        }
    }

    fn unsuccessful(&self, ended: &Ended) -> Failed {
        let said = String::from_utf8_lossy(&ended.said);
        let said = said.trim();
        let from = said.char_indices().rev().nth(LONGEST_SHOWN - 1).map_or(0, |(at, _)| at);
        self.failed(&format!("ended with {}", ended.status), said.get(from..).unwrap_or(said))
    }

    /// A failure of this program, of which its words say something to a reader.
    pub(crate) fn failed(&self, how: &str, said: &str) -> Failed {
        Failed { name: self.name.clone(), how: how.to_owned(), said: said.to_owned() }
    }
}

struct Ended {
    status: ExitStatus,
    printed: Vec<u8>,
    said: Vec<u8>,
}

/// Waits for the end of a program and of what it prints. However this ends, its process group ends too.
async fn ended(mut child: Child) -> io::Result<Ended> {
    let mut group = Group::of(&child);
    let (printed, said) = (child.stdout.take(), child.stderr.take());
    let read = async { tokio::try_join!(whole(printed), whole(said)) };
    tokio::pin!(read);
    let mut texts = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            read = &mut read, if texts.is_none() => texts = Some(read?),
        }
    };
    if texts.is_none()
        && let Ok(read) = tokio::time::timeout(AFTER_ITS_END, &mut read).await
    {
        texts = Some(read?);
    }
    group.end();
    let (printed, said) = match texts {
        Some(texts) => texts,
        // Somebody outside of the group may still hold the pipe: the time of the program counts on.
        None => read.await?,
    };
    Ok(Ended { status, printed, said })
}

async fn whole(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST_OUTPUT as u64 + 1).read_to_end(&mut text).await?;
    }
    match text.len() > MOST_OUTPUT {
        true => Err(io::Error::other(format!("printed more than {MOST_OUTPUT} bytes"))),
        false => Ok(text),
    }
}

/// The process group that a program leads; killed when it is dropped.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group { leader: id.and_then(rustix::process::Pid::from_raw) }
    }

    #[cfg(not(unix))]
    fn of(_: &Child) -> Group {
        Group {}
    }

    fn end(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self.leader.take() {
            // Nobody may be left.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Failure of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    name: String,
    how: String,
    said: String,
}

impl Failed {
    /// For a reader; of what the program said secrets are replaced that are known by now.
    pub(crate) fn text(&self, redactor: &Redactor) -> String {
        let said = match self.said.as_str() {
            "" => String::new(),
            said => format!(": {}", redactor.text(said)),
        };
        format!("`{}` {}{said}", self.name, self.how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_like_a_shells_but_no_shell_reads_them() {
        let program = ExternalCommand::parse("ssh host 'make account' $HOME").unwrap();
        assert_eq!(program.name, "ssh");
        assert_eq!(program.arguments, ["host", "make account", "$HOME"]);
        assert!(ExternalCommand::parse("").is_err());
        assert!(ExternalCommand::parse("make 'account").is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_failing_program_says_is_kept_and_secrets_in_it_are_replaced() {
        let program = ExternalCommand::parse("sh -c 'echo no $WORD >&2; exit 3'").unwrap();
        let failed =
            program.run(&[("WORD", "hush-hush")], &Cancellation::default()).await.unwrap_err();
        let vault = crate::redact::Vault::default();
        vault.learn(crate::redact::SecretKind::Password, "hush-hush");
        assert_eq!(
            failed.text(&vault.redactor()),
            "`sh` ended with exit status: 3: no ‹password 1›"
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_ends_with_the_run() {
        let stop = Cancellation::default();
        stop.set(crate::http::cancel::CancelCause::Interrupted);
        let program = ExternalCommand::parse("sleep 60").unwrap();
        assert!(program.run(&[], &stop).await.is_err());
    }

    #[cfg(unix)]
    async fn failure(line: &str, longest: Duration) -> String {
        let program = ExternalCommand { longest, ..ExternalCommand::parse(line).unwrap() };
        let failed = program.run(&[], &Cancellation::default()).await.unwrap_err();
        failed.text(&crate::redact::Vault::default().redactor())
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn time_and_output_of_a_program_have_a_bound() {
        let short = Duration::from_millis(200);
        assert_eq!(failure("sleep 60", short).await, "`sleep` took longer than 0.2 s");
        for stream in ["yes", "sh -c 'yes >&2'"] {
            let words = failure(stream, LONGEST).await;
            assert!(words.ends_with("printed more than 1048576 bytes"), "{words}");
        }
    }

    /// A pipe that a child of the program holds, and whose end shows that of the child.
    #[cfg(unix)]
    struct Held {
        folder: tempfile::TempDir,
    }

    #[cfg(unix)]
    impl Held {
        fn new() -> Held {
            let folder = tempfile::tempdir().unwrap();
            let pipe = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(pipe).status().unwrap();
            assert!(made.success());
            Held { folder }
        }

        /// A program that leaves such a child, and what it does then.
        fn program(&self, then: &str) -> ExternalCommand {
            let pipe = self.folder.path().join("pipe");
            let child = format!("(echo up; exec sleep 60) > {} &", pipe.display());
            ExternalCommand::parse(&format!("sh -c '{child} {then}'")).unwrap()
        }

        /// Calls `up` when the child is there, and returns when it is gone.
        fn watch(&self, up: impl FnOnce() + Send + 'static) -> tokio::task::JoinHandle<()> {
            use std::io::{BufRead as _, Read as _};
            let pipe = self.folder.path().join("pipe");
            tokio::task::spawn_blocking(move || {
                let mut pipe = std::io::BufReader::new(std::fs::File::open(pipe).unwrap());
                pipe.read_line(&mut String::new()).unwrap();
                up();
                pipe.read_to_end(&mut Vec::new()).unwrap();
            })
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn children_end_with_their_program() {
        let held = Held::new();
        let gone = held.watch(|| ());
        let printed = held.program("echo done").run(&[], &Cancellation::default()).await.unwrap();
        assert_eq!(printed, "done\n");
        gone.await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn children_end_with_the_run() {
        let held = Held::new();
        let stop = Cancellation::default();
        let stopping = stop.clone();
        let gone = held.watch(move || stopping.set(crate::http::cancel::CancelCause::Interrupted));
        assert!(held.program("wait").run(&[], &stop).await.is_err());
        gone.await.unwrap();
    }

    /// A child that left the group cannot be ended, but the time counts for it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_that_keeps_the_pipe_open_counts_as_the_program() {
        let words = failure("setsid --fork sleep 5", Duration::from_millis(1500)).await;
        assert_eq!(words, "`setsid` took longer than 1.5 s");
    }
}
