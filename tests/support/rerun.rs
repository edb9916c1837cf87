//! A run with a baseline, and the same run again.
use super::program::homespec;

/// Writes a baseline of a run with these arguments, and runs it again with that baseline: nothing is new, nothing fixed, and
/// the second run exits with 0. What could not be decided counts in neither.
///
/// # Panics
/// If it is otherwise, with what is new.
pub fn assert_known_in_a_second_run(arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("baseline.yaml").display().to_string();
    let known = ["--allow-blocked", "--baseline", &baseline];
    let first = homespec(&[arguments, &known, &["--update-baseline"]].concat());
    assert_eq!(first.status, Some(0), "{}\n{}", first.stdout, first.stderr);
    let second = homespec(&[arguments, &known].concat());
    let new: Vec<String> = second
        .run
        .cases
        .iter()
        .flat_map(|case| &case.findings)
        .chain(second.run.standing.iter().flat_map(|standing| &standing.findings))
        .filter(|finding| !finding.known)
        .map(|finding| {
            format!("{} at {}: {}", finding.requirement, finding.pointer, finding.message)
        })
        .collect();
    assert_eq!(second.status, Some(0), "{}\n{}\n{}", new.join("\n"), second.stdout, second.stderr);
}
