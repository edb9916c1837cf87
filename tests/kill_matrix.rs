//! Every fault of the reference homeserver is caught, at the requirement that it names and at no
//! other; no quirk is flagged; every decided MUST and SHOULD has a fault.
use homespec::app::Material;
use homespec::selftest::{FaultEnd, Matrix, Reach, matrix};
use homespec::shapes;
use std::sync::Arc;

#[test]
fn every_fault_is_caught_and_no_quirk_is_flagged() {
    let material = Arc::new(Material::load(None, None).expect("the bundled files are right"));
    let full = std::env::var("HOMESPEC_TESTS").as_deref() == Ok("full");
    let reach = if full { Reach::Full } else { Reach::Named };
    let catalogue = shapes::bundled().expect("the bundled files are right");
    let faults: Vec<_> = catalogue.all_faults().collect();
    let quirks: Vec<_> = catalogue.all_quirks().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 4;
    let matrix = runtime
        .block_on(matrix(material, &faults, &quirks, reach, jobs, &|_| {}))
        .expect("the matrix runs");
    let wrong = report(&matrix);
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
}

fn report(matrix: &Matrix) -> Vec<String> {
    let mut wrong = Vec::new();
    for fault in &matrix.faults {
        if let FaultEnd::Survived(verdict, reason) = &fault.end {
            wrong.push(format!(
                "survived    {} ({}): {} {reason}",
                fault.name,
                fault.requirement,
                verdict.as_str()
            ));
        }
        for red in &fault.unexpected {
            wrong.push(format!(
                "unexpected  {} ({}): {} {} by {}",
                fault.name,
                fault.requirement,
                red.requirement,
                red.verdict.as_str(),
                red.why
            ));
        }
    }
    for quirk in &matrix.quirks {
        for red in &quirk.flagged {
            wrong.push(format!(
                "flagged     {}: {} {} {}",
                quirk.name,
                red.requirement,
                red.verdict.as_str(),
                red.why
            ));
        }
    }
    wrong.extend(matrix.without_fault.iter().map(|id| format!("no fault    {id}")));
    wrong
}
