//! `run.json`: the [`Run`] itself, written and read back.
use super::RenderError;
use crate::model::run::{Run, SCHEMA_VERSION};
use serde::{Deserialize, Serialize};

/// The run as `run.json`: indented, keys in the order of the fields of [`Run`], one newline at the end.
///
/// `spec/run.schema.json` describes it.
///
/// # Errors
/// An internal error: only strings, numbers, lists and structs are in a `Run`.
pub fn json(run: &Run) -> Result<String, RenderError> {
    written("run.json", run)
}

/// A value as indented JSON with a newline at the end; `report` names it in an error.
pub(super) fn written(report: &'static str, value: &impl Serialize) -> Result<String, RenderError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| RenderError::new(report, &error))
}

/// Reads `run.json` back.
///
/// # Errors
///
/// If the text is not JSON, is no `run.json`, or is of another `schema_version`; each says what to do.
pub fn read(text: &str) -> Result<Run, ReadError> {
    let version: Version = serde_json::from_str(text).map_err(|fault| match fault.classify() {
        serde_json::error::Category::Data => ReadError::NotARun(fault),
        _ => ReadError::NotJson(fault),
    })?;
    match version.schema_version {
        None => return Err(ReadError::NoVersion),
        Some(found) if found > u64::from(SCHEMA_VERSION) => return Err(ReadError::Newer { found }),
        Some(found) if found < u64::from(SCHEMA_VERSION) => return Err(ReadError::Older { found }),
        Some(_) => {}
    }
    serde_json::from_str(text).map_err(ReadError::NotARun)
}

/// The one key that is looked at before all others, so that a file of another version is refused for
/// its version and not for the first field that changed.
#[derive(Deserialize)]
struct Version {
    schema_version: Option<u64>,
}

/// A text that is not a valid `run.json`.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is cut off, or something else than JSON.
    #[error("not JSON ({0}); give the run.json of a run that has ended")]
    NotJson(serde_json::Error),
    /// It is JSON, but not made by this program.
    #[error("no schema_version; give a run.json that homespec wrote")]
    NoVersion,
    /// A later homespec wrote it.
    #[error(
        "schema_version is {found}, this homespec reads {SCHEMA_VERSION}; use the homespec that wrote it, or a later one"
    )]
    Newer {
        /// The version in the file.
        found: u64,
    },
    /// An earlier homespec wrote it.
    #[error("schema_version is {found}, this homespec reads {SCHEMA_VERSION}; make the run again")]
    Older {
        /// The version in the file.
        found: u64,
    },
    /// The version is right and something else is not.
    #[error("not a run.json of schema_version {SCHEMA_VERSION} ({0}); was it edited by hand?")]
    NotARun(serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_run_is_refused_with_what_to_do() {
        let cases = [
            ("", "not JSON"),
            ("{\"schema_version\": 1", "run that has ended"),
            ("[1]", "not a run.json"),
            ("{}", "give a run.json that homespec wrote"),
            ("{\"schema_version\": 2}", "use the homespec that wrote it"),
            ("{\"schema_version\": 0}", "make the run again"),
            ("{\"schema_version\": 1}", "missing field `complete`"),
            ("{\"schema_version\": \"1\"}", "not a run.json"),
        ];
        for (text, words) in cases {
            let message = read(text).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
