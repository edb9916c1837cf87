//! Programs of the operator's, for what no client can do: making accounts, locking them.
use super::stop::Stop;
use crate::secret::Redactor;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// How long a program may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How much of what a failing program says is shown, in characters.
const LONGEST_SHOWN: usize = 300;

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: String,
    arguments: Vec<String>,
}

impl Program {
    /// Splits a command line into words by the quoting rules of a shell. No shell reads it: variables,
    /// pipes and wildcards mean nothing.
    ///
    /// # Errors
    /// There is no word in it, or a quotation mark without its other half.
    pub fn parse(line: &str) -> Result<Program, String> {
        let words = shlex::split(line).ok_or("a quotation mark is open at its end")?;
        let mut words = words.into_iter();
        let name = words.next().ok_or("it names no program")?;
        Ok(Program { name, arguments: words.collect() })
    }

    /// Runs it to its end, with these variables beside those of the environment, and gives what it
    /// printed. It reads nothing, and is killed when it takes longer than [`LIMIT`] or the run stops.
    ///
    /// # Errors
    /// It cannot be started, takes too long, or ends with another status than 0: in words, with the
    /// end of what it wrote to standard error.
    pub async fn run(&self, told: &[(&str, &str)], stop: &Stop) -> Result<String, Failed> {
        let running = Command::new(&self.name)
            .args(&self.arguments)
            .envs(told.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = tokio::select! {
            ended = tokio::time::timeout(LIMIT, running) => ended,
            () = stop.stopped() => return Err(self.failed("was stopped with the run", "")),
        };
        match ended {
            Err(_) => Err(self.failed(&format!("took longer than {} s", LIMIT.as_secs()), "")),
            Ok(Err(error)) => Err(self.failed(&format!("cannot be started: {error}"), "")),
            Ok(Ok(output)) if output.status.success() => String::from_utf8(output.stdout)
                .map_err(|_| self.failed("printed something that is not UTF-8", "")),
            Ok(Ok(output)) => Err(self.unsuccessful(&output)),
        }
    }

    fn unsuccessful(&self, output: &Output) -> Failed {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let from = said.char_indices().rev().nth(LONGEST_SHOWN - 1).map_or(0, |(at, _)| at);
        self.failed(&format!("ended with {}", output.status), said.get(from..).unwrap_or(said))
    }

    /// A failure of this program, of which its words say something to a reader.
    pub fn failed(&self, how: &str, said: &str) -> Failed {
        Failed { name: self.name.clone(), how: how.to_owned(), said: said.to_owned() }
    }
}

/// How a program failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    name: String,
    how: String,
    said: String,
}

impl Failed {
    /// For a reader; of what the program said secrets are replaced that are known by now.
    pub fn text(&self, redactor: &Redactor) -> String {
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
        let program = Program::parse("ssh host 'make account' $HOME").unwrap();
        assert_eq!(program.name, "ssh");
        assert_eq!(program.arguments, ["host", "make account", "$HOME"]);
        assert!(Program::parse("").is_err());
        assert!(Program::parse("make 'account").is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_failing_program_says_is_kept_and_secrets_in_it_are_replaced() {
        let program = Program::parse("sh -c 'echo no $WORD >&2; exit 3'").unwrap();
        let failed = program.run(&[("WORD", "hush-hush")], &Stop::default()).await.unwrap_err();
        let vault = crate::secret::Vault::default();
        vault.learn(crate::secret::SecretKind::Password, "hush-hush");
        assert_eq!(
            failed.text(&vault.redactor()),
            "`sh` ended with exit status: 3: no ‹password 1›"
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_ends_with_the_run() {
        let stop = Stop::default();
        stop.set(super::super::stop::Cause::Interrupted);
        let program = Program::parse("sleep 60").unwrap();
        assert!(program.run(&[], &stop).await.is_err());
    }
}
