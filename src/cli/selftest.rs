//! `selftest`: the kill matrix.
use super::args::SelftestArgs;
use super::{Failure, print, say};
use crate::app::Material;
use crate::exit;
use crate::select::glob_matches;
use crate::selftest::{FaultEnd, Matrix, Reach, matrix};
use crate::shapes;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn selftest(args: &SelftestArgs) -> Result<u8, Failure> {
    let material = Material::load(None, None).map_err(|faults| Failure::files(&faults))?;
    let wanted =
        |name: &str| args.name.is_empty() || args.name.iter().any(|g| glob_matches(g, name));
    let catalogue = shapes::bundled().map_err(|faults| Failure::files(&faults))?;
    let faults: Vec<_> = catalogue.all_faults().filter(|fault| wanted(fault.name)).collect();
    let quirks: Vec<_> = catalogue.all_quirks().filter(|quirk| wanted(quirk.name)).collect();
    if faults.is_empty() && quirks.is_empty() {
        let text = "no fault or quirk of that name; `homespec list --faults` shows all";
        return Err(Failure::new(exit::NOTHING_SELECTED, format!("error: {text}")));
    }
    let reach = if args.full { Reach::Full } else { Reach::Named };
    let total = faults.len() + quirks.len();
    let done = AtomicUsize::new(0);
    let told = |name: &str| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if args.verbose {
            let _ = say(&format!("{done}/{total} {name}"));
        }
    };
    // Most of a run is waiting: for an answer, for a token to die.
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 4;
    let jobs = args.jobs.map_or(jobs, usize::from);
    let runtime = super::test::runtime()?;
    let matrix = runtime
        .block_on(matrix(Arc::new(material), &faults, &quirks, reach, jobs, &told))
        .map_err(|error| Failure::new(exit::OWN_FAULT, format!("error: {error}")))?;
    print(&table(&matrix, args.name.is_empty()))?;
    let clean = matrix.is_clean() || (!args.name.is_empty() && only_named_is_clean(&matrix));
    Ok(if clean { exit::CONFORMS } else { exit::BROKEN })
}

fn only_named_is_clean(matrix: &Matrix) -> bool {
    Matrix { without_fault: Vec::new(), ..matrix.clone() }.is_clean()
}

fn table(matrix: &Matrix, whole: bool) -> String {
    let mut text = String::new();
    for fault in &matrix.faults {
        let (word, by) = match &fault.end {
            FaultEnd::Caught => ("caught", fault.caught_by.join(", ")),
            FaultEnd::Observed => ("observed", String::new()),
            FaultEnd::OutOfReach(why) => ("unshown", why.clone()),
            FaultEnd::Survived(verdict, reason) => {
                ("SURVIVED", format!("{} {reason}", verdict.as_str()))
            }
        };
        let _ = writeln!(text, "{word:10} {} ({}) {by}", fault.name, fault.requirement);
        for red in &fault.unexpected {
            let verdict = red.verdict.as_str();
            let _ = writeln!(text, "  UNEXPECTED {} {verdict}: {}", red.requirement, red.why);
        }
    }
    for quirk in &matrix.quirks {
        let word = if quirk.flagged.is_empty() { "accepted" } else { "FLAGGED" };
        let _ = writeln!(text, "{word:10} {}", quirk.name);
        for red in &quirk.flagged {
            let _ = writeln!(text, "  {} {}: {}", red.requirement, red.verdict.as_str(), red.why);
        }
    }
    if whole {
        for id in &matrix.without_fault {
            let _ = writeln!(text, "NO FAULT   {id}");
        }
    }
    let caught = matrix.faults.iter().filter(|fault| fault.end == FaultEnd::Caught).count();
    let _ = writeln!(
        text,
        "\n{caught} of {} faults caught; {} of {} quirks accepted",
        matrix.faults.len(),
        matrix.quirks.iter().filter(|quirk| quirk.flagged.is_empty()).count(),
        matrix.quirks.len()
    );
    text
}
