//! Every fault of the reference homeserver is caught, at the requirement that it names and at no other; no quirk is
//! flagged; every decided MUST and SHOULD has a fault; and `docs/proof-matrix.md` shows just this matrix.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::pipeline::Material;
use homespec::reference::Kind;
use homespec::selftest::schema_faults;
use homespec::selftest::{Asked, FaultEnd, Matrix, Reach, Rendering, matrix};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What stands between the text of the page and the matrix.
const MARK: &str =
    "<!-- From here on `UPDATE_GOLDEN=1 cargo test --test kill_matrix` writes the page. -->\n";

#[test]
fn every_fault_is_caught_and_no_quirk_is_flagged() {
    let material = Arc::new(Material::load(None, None).expect("the bundled files are right"));
    let full = std::env::var("HOMESPEC_TESTS").as_deref() == Ok("full");
    let reach = if full { Reach::Full } else { Reach::Named };
    let catalogue = schema_faults::bundled().expect("the bundled files are right");
    let asked = Asked::of(&material, catalogue, &[]).expect("everything is asked for");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 12;
    let matrix = runtime
        .block_on(matrix(material.clone(), &asked, reach, jobs, &|_| {}))
        .expect("the matrix runs");
    let wrong = report(&matrix);
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(matrix.is_clean());
    check_page(&matrix);
    if !full {
        let again = |names: &[String]| {
            let catalogue = schema_faults::bundled().expect("the bundled files are right");
            let asked = Asked::of(&material, catalogue, names).expect("faults that exist");
            let again = self::matrix(material.clone(), &asked, reach, jobs, &|_| {});
            runtime.block_on(again).expect("the matrix runs")
        };
        check_also(&matrix, &again);
    }
}

/// Why `also` lists name requirements that were found kept: the reason, then the faults with the requirements.
type Reasons = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The `also` lists are the oracle: what they name and was found kept needs a reason. What turned red and is not named has
/// failed before.
///
/// What a run finds kept may be chance, as made-up ids are: `again` runs the matrix for such faults once more.
fn check_also(matrix: &Matrix, again: &dyn Fn(&[String]) -> Matrix) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kill_matrix/also.yaml");
    let reasons: Reasons = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(reasons.keys().all(|reason| !reason.trim().is_empty()), "a reason is empty");
    let given: BTreeSet<(&str, &str)> = reasons
        .values()
        .flatten()
        .flat_map(|(fault, ids)| ids.iter().map(|id| (fault.as_str(), id.as_str())))
        .collect();
    let found = found_kept(matrix);
    let without_reason: Vec<_> = found.difference(&given).copied().collect();
    let names: BTreeSet<String> =
        without_reason.iter().map(|(fault, _)| (*fault).to_owned()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let second = if names.is_empty() { None } else { Some(again(&names)) };
    let kept_again = second.as_ref().map(found_kept).unwrap_or_default();
    let lines = |pairs: Vec<&(&str, &str)>| {
        pairs.iter().map(|(fault, id)| format!("\n  {fault}: {id}")).collect::<String>()
    };
    let new = lines(without_reason.iter().filter(|pair| kept_again.contains(pair)).collect());
    assert!(new.is_empty(), "listed in `also`, found kept, and without a reason:{new}");
    // What one run finds kept, another may leave open, so that only what is not even listed is stale.
    let listed = |(fault, id): &&(&str, &str)| {
        let mut faults = matrix.faults.iter();
        faults.any(|f| f.name == *fault && f.also.contains(id))
    };
    let stale = lines(given.iter().filter(|pair| !listed(pair)).collect());
    assert!(stale.is_empty(), "a reason is given, and no `also` list names these:{stale}");
}

/// Faults written by hand that show each time, with what their `also` lists name and the run found kept.
fn found_kept(matrix: &Matrix) -> BTreeSet<(&'static str, &'static str)> {
    let by_hand = matrix.faults.iter().filter(|fault| fault.kind != Kind::Shape && fault.steady);
    by_hand.flat_map(|fault| fault.unseen.iter().map(|id| (fault.name, *id))).collect()
}

fn check_page(matrix: &Matrix) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proof-matrix.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, committed) = page.split_once(MARK).expect("the page has its mark");
    let made = format!("\n{}", matrix.render(Rendering::Markdown).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{text}{MARK}{made}")).unwrap();
        return;
    }
    let differ = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    assert!(differ.is_none(), "docs/proof-matrix.md is not what the matrix gives: {differ:?}");
    assert_eq!(made.len(), committed.len(), "docs/proof-matrix.md is shorter or longer");
}

fn report(matrix: &Matrix) -> Vec<String> {
    let mut wrong = Vec::new();
    for fault in &matrix.faults {
        let name = format!("{} ({})", fault.name, fault.requirement);
        if fault.end == FaultEnd::Survived {
            let why = fault.why.as_deref().unwrap_or_default();
            wrong.push(format!("survived    {name}: {} {why}", fault.verdict.as_str()));
        }
        let other = fault.cause.as_deref().filter(|cause| *cause != fault.requirement);
        if let (FaultEnd::Caught, Some(cause)) = (fault.end, other) {
            wrong.push(format!("other cause {name}: {cause}"));
        }
        for red in &fault.unexpected {
            let verdict = red.verdict.as_str();
            wrong.push(format!("unexpected  {name}: {} {verdict} by {}", red.requirement, red.why));
        }
    }
    for quirk in &matrix.quirks {
        for red in &quirk.flagged {
            let verdict = red.verdict.as_str();
            wrong.push(format!(
                "flagged     {}: {} {verdict} {}",
                quirk.name, red.requirement, red.why
            ));
        }
    }
    wrong.extend(matrix.without_fault.iter().map(|id| format!("no fault    {id}")));
    wrong
}
