//! The matrix as text: for a terminal, for programs, for a page. Pure, and the same for the same matrix.
use super::SelftestError;
use super::matrix::{FaultEnd, FaultOutcome, Matrix, UnexpectedVerdict};
use crate::reference::Kind;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The version of the JSON form. It changes when a member goes or means something else, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The format of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// A line a fault, a quirk and a requirement.
    Table,
    /// One object; `docs/proof.md` names its members.
    Json,
    /// Tables by requirement, fault and quirk.
    Markdown,
}

impl Matrix {
    /// The matrix as text, with a line feed at the end.
    ///
    /// # Errors
    /// An internal error: a template does not fit the matrix.
    pub fn render(&self, format: Rendering) -> Result<String, SelftestError> {
        Ok(match format {
            Rendering::Table => self.page(include_str!("matrix.txt.j2"))?,
            Rendering::Json => serde_json::to_string_pretty(&JsonMatrix::of(self))? + "\n",
            Rendering::Markdown => self.page(include_str!("matrix.md.j2"))?,
        })
    }

    fn page(&self, template: &str) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        environment.set_syntax(syntax.build()?);
        environment.add_filter("code", |word: &str| format!("`{word}`"));
        environment.add_filter("cell", cell);
        environment.render_str(template, context! { sum => self.sum(), ..Serde(self) })
    }

    fn sum(&self) -> String {
        let ended = |end| self.faults.iter().filter(|fault| fault.end == end).count();
        format!(
            "{} of {} faults caught, {} survived, {} observed, {} out of reach; {} of {} quirks \
             accepted; {} decided rules without a fault",
            ended(FaultEnd::Caught),
            self.faults.len(),
            ended(FaultEnd::Survived),
            ended(FaultEnd::Observed),
            ended(FaultEnd::OutOfReach),
            self.quirks.iter().filter(|quirk| quirk.flagged.is_empty()).count(),
            self.quirks.len(),
            self.without_fault.len()
        )
    }

    /// Differences between the `also` lists of faults and the result: `+` for a requirement that
    /// broke and is not listed, `-` for one that is listed and holds, then the correct list.
    pub fn proposals(&self) -> String {
        let by_hand = self.faults.iter().filter(|fault| fault.kind != Kind::Shape);
        let differ = by_hand.filter(|f| !(f.unexpected.is_empty() && f.unseen.is_empty()));
        let text: String = differ.map(proposal).collect();
        if text.is_empty() { "no `also` list differs from the result\n".to_owned() } else { text }
    }
}

/// The JSON form.
#[derive(Serialize)]
struct JsonMatrix<'m> {
    schema_version: u32,
    tool: Value,
    clean: bool,
    #[serde(flatten)]
    matrix: &'m Matrix,
}

impl JsonMatrix<'_> {
    fn of(matrix: &Matrix) -> JsonMatrix<'_> {
        JsonMatrix {
            schema_version: SCHEMA_VERSION,
            tool: json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}),
            clean: matrix.is_clean(),
            matrix,
        }
    }
}

/// A text of the tables of faults as one cell.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "\\<").replace('*', "\\*")
}

fn proposal(fault: &FaultOutcome) -> String {
    let mut text = format!("{} breaks {}\n", fault.name, fault.requirement);
    for UnexpectedVerdict { requirement, verdict, why } in &fault.unexpected {
        let _ = writeln!(text, "  + {requirement}  {}: {why}", verdict.as_str());
    }
    for requirement in &fault.unseen {
        let _ = writeln!(text, "  - {requirement}");
    }
    let listed = fault.also.iter().copied().filter(|id| !fault.unseen.contains(id));
    let seen = fault.unexpected.iter().map(|one| one.requirement.as_str());
    let also: BTreeSet<&str> = listed.chain(seen).filter(|id| *id != fault.requirement).collect();
    let _ = writeln!(text, "  also: [{}]", also.into_iter().collect::<Vec<_>>().join(", "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::run::{Level, RequirementVerdict};
    use crate::reference::faults;
    use crate::selftest::matrix::RequirementFaults;

    fn matrix() -> Matrix {
        let of = |name: &str, end: FaultEnd, why: Option<&str>| {
            let fault = faults().unwrap().iter().find(|fault| fault.name == name).unwrap();
            FaultOutcome {
                caught_by: vec!["good-login[b]".to_owned(), "standing::x".to_owned()],
                verdict: RequirementVerdict::Failed,
                ..FaultOutcome::of(fault, end, why.map(str::to_owned))
            }
        };
        let survivor = of("login-202", FaultEnd::Survived, Some("a | b"));
        let row = RequirementFaults::new("login.post.ok.status", Level::Must, true);
        let faults = vec![of("login-201", FaultEnd::Caught, None), survivor];
        Matrix::of(faults, Vec::new(), vec![row], &|_| true)
    }

    #[test]
    fn the_table_says_what_caught_a_fault_and_what_survived() {
        let text = matrix().render(Rendering::Table).unwrap();
        let caught =
            "caught     login-201 (login.post.ok.status) failed: good-login[b], standing::x";
        assert!(text.contains(caught), "{text}");
        assert!(
            text.contains("SURVIVED   login-202 (login.post.ok.status) failed a | b"),
            "{text}"
        );
        assert!(text.contains("MUST   login.post.ok.status: 1 of 2 caught"), "{text}");
    }

    #[test]
    fn json_has_a_version_and_a_row_for_each_thing() {
        let text = matrix().render(Rendering::Json).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], SCHEMA_VERSION);
        assert_eq!(value["clean"], false);
        assert_eq!(value["faults"][1]["end"], "survived");
        assert_eq!(value["requirements"][0]["faults"], json!({"data": 2}));
        assert_eq!(value["requirements"][0]["ends"], json!({"caught": 1, "survived": 1}));
    }

    #[test]
    fn markdown_keeps_its_cells_apart() {
        let text = matrix().render(Rendering::Markdown).unwrap();
        let row = "| `login.post.ok.status` | MUST | 0 | 2 | 0 | 1 (1 survived) | `good-login`, standing |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("survived: a \\| b |"), "{text}");
    }
}
