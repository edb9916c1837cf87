//! `selftest`: the kill matrix.
use super::args::SelftestArgs;
use super::progress::Count;
use super::{Failure, print, say};
use crate::model::exit;
use crate::pipeline::Material;
use crate::selftest::schema_faults;
use crate::selftest::{Asked, Reach, SelftestError, matrix};
use std::sync::Arc;

pub(super) fn selftest(args: &SelftestArgs) -> Result<u8, Failure> {
    let material = Material::load(None, None)?;
    let catalogue = schema_faults::bundled()?;
    let asked = Asked::of(&material, catalogue, &args.name).map_err(failed)?;
    let reach = if args.full { Reach::Full } else { Reach::Named };
    let count = Count::of(asked.faults.len() + asked.quirks.len());
    let told = |name: &str| {
        let at = count.done(name);
        if args.verbose {
            let _ = say(&format!("{at} {name}"));
        }
    };
    // Most of a run is waiting: for an answer, for a token to die.
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 4;
    let jobs = args.jobs.map_or(jobs, usize::from);
    let runtime = super::test::runtime()?;
    let made = runtime.block_on(matrix(Arc::new(material), &asked, reach, jobs, &told));
    count.clear();
    let matrix = made.map_err(failed)?;
    let text = match args.propose_also {
        true => matrix.proposals(),
        false => matrix.render(args.format).map_err(failed)?,
    };
    print(&text)?;
    Ok(if matrix.is_clean() { exit::CONFORMS } else { exit::BROKEN })
}

fn failed(error: SelftestError) -> Failure {
    match error {
        SelftestError::NoMatch(words) => names_nothing(&words),
        error => Failure::new(exit::OWN_FAULT, format!("error: {error}")),
    }
}

fn names_nothing(words: &[String]) -> Failure {
    let lists = "`homespec list --faults`, `--quirks` and `--requirements` show all";
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let text =
        format!("error: no fault, quirk or requirement is called {}; {lists}", words.join(" or "));
    Failure::new(exit::NOTHING_SELECTED, text)
}
