//! Files with secrets in them: their faults are told without their text, and a word is said if
//! others can read them.
use crate::redact::SHORTEST;
use crate::yaml::diagnostic::Diagnostic;
use regex::Regex;
use std::path::Path;
use std::sync::LazyLock;

/// A fault as it may be told. Of a file that may hold secrets the lines are not shown, and what a
/// message quotes only if it is one of `words`: of a password with a comma in it, YAML makes a key.
pub fn told(fault: Diagnostic, words: &[&str]) -> Diagnostic {
    let place = match &fault.primary {
        Some(label) => {
            let (line, column) =
                (label.source.line(label.span.start), label.source.column(label.span.start));
            format!("{}:{line}:{column}", fault.name)
        }
        None => fault.name,
    };
    let message = quoting_only(&fault.message, words);
    let (severity, help) = (fault.severity, fault.help);
    Diagnostic { severity, help, ..Diagnostic::in_file(place, message) }
}

/// The same, if the file of the fault looks as if it held secrets; else the fault as it is.
pub fn told_if_secret(fault: Diagnostic, words: &[&str]) -> Diagnostic {
    let is_secret = fault.primary.as_ref().is_some_and(|l| holds_secrets(l.source.text()));
    if is_secret { told(fault, words) } else { fault }
}

/// The same of a file that cannot be read as YAML and may be anything; case files, which name
/// passwords and hold none, are known by their first members.
pub fn told_unless_cases(fault: Diagnostic) -> Diagnostic {
    let is_cases = |text: &str| {
        text.lines().any(|line| line.starts_with("about:") || line.starts_with("cases:"))
    };
    let has_cases = fault.primary.as_ref().is_some_and(|l| is_cases(l.source.text()));
    if has_cases { fault } else { told_if_secret(fault, &[]) }
}

/// Every second part between quotes is quoted; what is not known becomes an ellipsis.
fn quoting_only(message: &str, words: &[&str]) -> String {
    message
        .split_inclusive(['`', '"'])
        .fold((String::new(), false), |(mut text, quoted), part| {
            let inside = part.trim_end_matches(['`', '"']);
            if quoted && !words.contains(&inside) {
                text += "…";
                text += part.get(inside.len()..).unwrap_or_default();
            } else {
                text += part;
            }
            (text, if part.len() > inside.len() { !quoted } else { quoted })
        })
        .0
}

/// Returns true if a file contains something confidential: a member that is named like a
/// secret, or an address with a password.
pub fn holds_secrets(text: &str) -> bool {
    static TELLING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let names = "user|password|passwd|secret|token|operator|cookie|authorization";
        Regex::new(&format!(r#"(?i)(?:{names})["']?\s*:|://[^/\s]*@"#)).ok()
    });
    TELLING.as_ref().is_none_or(|telling| telling.is_match(text))
}

/// That a secret is too short: nothing could keep it out of the reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} has fewer than {SHORTEST} bytes; it cannot be distinguished from ordinary words and would stay readable in the reports"
)]
pub struct TooShort(String);

/// Refuses a secret, named `what`, that is shorter than [`SHORTEST`].
pub fn long_enough(what: &str, secret: &str) -> Result<(), TooShort> {
    if secret.len() >= SHORTEST { Ok(()) } else { Err(TooShort(what.to_owned())) }
}

/// A file with secrets that others can read deserves a word. Who may read is asked of the file
/// alone, and only where there are such permissions.
pub fn warn_if_others_can_read(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o077 != 0);
        if open {
            let name = path.display();
            let _ = super::say(&format!(
                "warning: {name} holds secrets and others can read it (chmod 600 {name})"
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_are_known_are_quoted() {
        let words = ["password", "token"];
        for (message, told) in [
            ("unknown key `token` in an account", "unknown key `token` in an account"),
            ("unknown key `hunter2` in an account", "unknown key `…` in an account"),
            ("`password` and \"hunter2\"", "`password` and \"…\""),
            ("a `hunter2", "a `…"),
            ("``", "`…`"),
        ] {
            assert_eq!(quoting_only(message, &words), told);
        }
    }

    #[test]
    fn files_with_secrets_are_told_from_others() {
        for text in ["operator:\n  x: y", "proxy: http://a:b@c", "- {user: a, password: b}"] {
            assert!(holds_secrets(text), "{text}");
        }
        for text in ["url: http://x/a@b", "registration-token-file: x", "accounts: x.yaml"] {
            assert!(!holds_secrets(text), "{text}");
        }
    }
}
