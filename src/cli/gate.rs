//! Baseline and requirements of a run: their files and words read, the baseline written.
use super::args::TestArgs;
use super::{Failure, say};
use crate::baseline::apply::Additions;
use crate::baseline::{Baseline, TODO, append, apply, load};
use crate::case::suite::Suite;
use crate::files;
use crate::model::exit;
use crate::model::run::{Run, Verdict};
use crate::pipeline::{Material, Policies};
use crate::plan::capabilities::Capability;
use crate::requirements::Register;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::Document;
use std::path::Path;
use std::sync::Arc;

/// Policies in the options, beside the specification; prints which entries of the baseline nobody
/// has explained.
pub(super) fn policies(args: &TestArgs, material: &Material) -> Result<Policies, Failure> {
    // Asked for twice, by several lists, is asked for once.
    let mut required: Vec<Capability> = Vec::new();
    for one in &args.require {
        if !required.contains(one) {
            required.push(*one);
        }
    }
    if args.update_baseline && args.baseline.is_none() {
        return Err(Failure::usage("--update-baseline: which --baseline FILE?"));
    }
    let baseline = match &args.baseline {
        Some(path) => Some(Arc::new(read(path, material, args.update_baseline)?)),
        None => None,
    };
    let raw_verdicts = raw_verdicts()?;
    Ok(Policies { baseline, adopt: args.update_baseline, required, raw_verdicts })
}

/// For tests of the attribution: `HOMESPEC_CAUSES=off` leaves every verdict as its case judged it.
fn raw_verdicts() -> Result<bool, Failure> {
    match std::env::var_os("HOMESPEC_CAUSES") {
        None => Ok(false),
        Some(off) if off == "off" => Ok(true),
        Some(_) => Err(Failure::usage("HOMESPEC_CAUSES is not set, or is `off`")),
    }
}

/// A file that is not there yet is an empty one where it is going to be written.
fn read(path: &Path, material: &Material, will_write: bool) -> Result<Baseline, Failure> {
    let name = path.display().to_string();
    if will_write && !path.exists() {
        return Ok(Baseline { file: name, ..Baseline::default() });
    }
    let document = Document::read(path, name.as_str())?;
    let baseline = load::load(&document, &material.register, &material.suite)?;
    let reasons = baseline.entries.iter().map(|entry| &entry.reason);
    let reasons = reasons.chain(baseline.blocked.iter().map(|entry| &entry.reason));
    let unexplained = reasons.filter(|reason| *reason == TODO).count();
    if unexplained > 0 {
        let (noun, has) = if unexplained == 1 { ("entry", "has") } else { ("entries", "have") };
        say(&format!("warning: {name}: {unexplained} {noun} {has} {TODO} for a reason"))?;
    }
    Ok(baseline)
}

/// Adds what is new in a run to the baseline's file, if that is asked for.
pub(super) fn update(policies: &Policies, run: &Run, gating: Verdict) -> Result<(), Failure> {
    let Some(baseline) = policies.baseline.as_deref().filter(|_| policies.adopt) else {
        return Ok(());
    };
    let new = apply::additions(run, baseline, gating);
    let path = Path::new(&baseline.file);
    if new == Additions::default() && path.exists() {
        return Ok(());
    }
    let document = match path.exists() {
        true => Some(Document::read(path, baseline.file.as_str())?),
        false => None,
    };
    let text = append::added(document.as_ref(), &new)
        .map_err(|why| Failure::new(exit::FILES, format!("error: {}: {why}", baseline.file)))?;
    files::replace(path, text.as_bytes()).map_err(|error| {
        Failure::new(exit::REPORT, format!("error: {}: cannot be written: {error}", baseline.file))
    })?;
    let more: usize = new.blocks.values().map(Vec::len).sum();
    if more > 0 {
        let noun = if more == 1 { "consequence" } else { "consequences" };
        say(&format!("note: {more} {noun} of known causes added to {}", baseline.file))?;
    }
    let (count, noun) =
        (new.entries.len(), if new.entries.len() == 1 { "entry" } else { "entries" });
    say(&format!(
        "note: {count} {noun} added to {}; replace each {TODO} with the reason why it is accepted",
        baseline.file
    ))?;
    Ok(())
}

/// The faults and warnings of a baseline file.
pub(super) fn check(document: &Document, suites: &[Suite]) -> Vec<Diagnostic> {
    let checked = || -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let register = Register::bundled()?;
        let suite = suites.iter().cloned().fold(Suite::bundled()?, Suite::and);
        let baseline = load::load(document, &register, &suite)?;
        Ok(load::warnings(document, &baseline))
    };
    checked().unwrap_or_else(|faults| faults)
}
