//! Every fault of the reference homeserver is caught, at the requirement that it names and at no other; no quirk is
//! flagged; every decided MUST and SHOULD has a fault; and `docs/proof-matrix.md` shows just this matrix.
use homespec::app::Material;
use homespec::selftest::{Asked, FaultEnd, Format, Matrix, Reach, matrix};
use homespec::shapes;
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
    let catalogue = shapes::bundled().expect("the bundled files are right");
    let asked = Asked::of(&material, catalogue, &[]).expect("everything is asked for");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 4;
    let matrix =
        runtime.block_on(matrix(material, &asked, reach, jobs, &|_| {})).expect("the matrix runs");
    let wrong = report(&matrix);
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(matrix.is_clean());
    check_page(&matrix);
}

fn check_page(matrix: &Matrix) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proof-matrix.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, committed) = page.split_once(MARK).expect("the page has its mark");
    let made = format!("\n{}", matrix.render(Format::Markdown));
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
        if let FaultEnd::Survived(why) = &fault.end {
            wrong.push(format!("survived    {name}: {} {why}", fault.verdict.as_str()));
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
