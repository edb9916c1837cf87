//! All mutants of a file in one text, each behind a question: is it the one that is switched on? Pure.
use crate::find::{Edit, Mutant};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// A file with its mutants, and where they are in it.
#[derive(Debug, Default)]
pub struct Schemata {
    pub text: String,
    /// Places that mutants brought: those of one mutant alone first.
    pub places: Vec<Place>,
}

#[derive(Debug)]
pub struct Place {
    pub range: Range<usize>,
    pub ids: Vec<usize>,
    /// True for what only the mutant has; false for what is around it.
    pub is_changed: bool,
}

/// The function that answers the question; `MUTANT` is the number, and `MUTANT_TRACE` a file that lists what was asked.
pub const SWITCH: &str = r#"
#[doc(hidden)]
#[allow(missing_docs)]
pub mod mutation {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex};

    static ACTIVE: LazyLock<Option<usize>> =
        LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|id| id.parse().ok()));
    static TRACE: LazyLock<Option<Mutex<std::fs::File>>> = LazyLock::new(|| {
        let path = std::env::var_os("MUTANT_TRACE")?;
        std::fs::OpenOptions::new().append(true).create(true).open(path).ok().map(Mutex::new)
    });
    static SEEN: [AtomicBool; 10_000] = [const { AtomicBool::new(false) }; 10_000];

    pub fn is(id: usize) -> bool {
        if let Some(file) = &*TRACE
            && !SEEN[id].swap(true, Ordering::Relaxed)
        {
            let _ = file.lock().unwrap().write_all(format!("{id}\n").as_bytes());
        }
        *ACTIVE == Some(id)
    }
}
"#;

/// Text that is put into a file at a place.
struct Piece {
    at: usize,
    /// Closing ones first, the innermost of them first; then opening ones, the outermost first.
    order: (bool, Reverse<usize>),
    /// With the mutant that a part of it belongs to.
    parts: Vec<(String, Option<usize>)>,
    /// Where what it opens ends.
    closes: Option<usize>,
}

/// Puts mutants into a text, by their ids.
pub fn schemata(text: &str, mutants: &[(usize, &Mutant)]) -> Schemata {
    let mut pieces = pieces(text, mutants);
    pieces.sort_by_key(|piece| (piece.at, piece.order));
    let (mut result, mut done) = (Schemata::default(), 0);
    let mut open: Vec<(usize, usize, Vec<usize>)> = Vec::new();
    for piece in pieces {
        result.text.push_str(text.get(done..piece.at).unwrap_or_default());
        done = piece.at;
        let (start, mut ids) = (result.text.len(), Vec::new());
        for (part, id) in piece.parts {
            let from = result.text.len();
            result.text.push_str(&part);
            if let Some(id) = id {
                let range = from..result.text.len();
                result.places.push(Place { range, ids: vec![id], is_changed: true });
                ids.push(id);
            }
        }
        match piece.closes {
            Some(end) => open.push((end, start, ids)),
            None => {
                if let Some((_, start, ids)) = open.pop() {
                    let range = start..result.text.len();
                    result.places.push(Place { range, ids, is_changed: false });
                }
            }
        }
    }
    result.text.push_str(text.get(done..).unwrap_or_default());
    result
}

fn pieces(text: &str, mutants: &[(usize, &Mutant)]) -> Vec<Piece> {
    let mut replaced: BTreeMap<(usize, usize), Vec<(usize, &str)>> = BTreeMap::new();
    let mut guards: BTreeMap<(usize, usize), Vec<(usize, &Edit)>> = BTreeMap::new();
    let mut pieces = Vec::new();
    for (id, mutant) in mutants {
        match &mutant.edit {
            Edit::Return(at, statement) => {
                let part = format!(" if crate::mutation::is({id}) {{ {statement} }}");
                pieces.extend(closed(*at, vec![(part, Some(*id))]));
            }
            Edit::Arm(at) => {
                let part = format!(" if !crate::mutation::is({id})");
                pieces.extend(closed(*at, vec![(part, Some(*id))]));
            }
            Edit::Replace(range, changed) => {
                replaced.entry((range.start, range.end)).or_default().push((*id, changed));
            }
            Edit::GuardedArm(range) | Edit::Guard(range, _) => {
                guards.entry((range.start, range.end)).or_default().push((*id, &mutant.edit));
            }
        }
    }
    for ((start, end), changes) in replaced {
        let mut parts = vec![("(".to_owned(), None)];
        for (id, changed) in changes {
            parts.push((format!("if crate::mutation::is({id}) {{ {changed} }} else "), Some(id)));
        }
        parts.push(("{ ".to_owned(), None));
        pieces.extend(around(start, end, parts, " })"));
    }
    for ((start, end), changes) in guards {
        let mut parts = vec![("(".to_owned(), None)];
        for (id, edit) in changes {
            parts.push(match edit {
                Edit::Guard(_, true) => (format!("crate::mutation::is({id}) || "), Some(id)),
                _ => (format!("!crate::mutation::is({id}) && "), Some(id)),
            });
        }
        parts.push(("(".to_owned(), None));
        pieces.extend(around(start, end, parts, "))"));
    }
    debug_assert!(pieces.iter().all(|piece| text.is_char_boundary(piece.at)));
    pieces
}

fn closed(at: usize, parts: Vec<(String, Option<usize>)>) -> [Piece; 2] {
    let order = (true, Reverse(usize::MAX));
    let close = Piece { at, order, parts: Vec::new(), closes: None };
    [Piece { at, order, parts, closes: Some(at) }, close]
}

fn around(start: usize, end: usize, parts: Vec<(String, Option<usize>)>, close: &str) -> [Piece; 2] {
    let closing = Piece {
        at: end,
        order: (false, Reverse(start)),
        parts: vec![(close.to_owned(), None)],
        closes: None,
    };
    [Piece { at: start, order: (true, Reverse(end)), parts, closes: Some(end) }, closing]
}
