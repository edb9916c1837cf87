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
    order: (bool, Reverse<usize>, usize),
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
    let mut guards: BTreeMap<(usize, usize), Vec<(usize, bool)>> = BTreeMap::new();
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
            Edit::Guard(range, holds) => {
                guards.entry((range.start, range.end)).or_default().push((*id, *holds));
            }
        }
    }
    for ((start, end), changes) in replaced {
        let mut parts = vec![("(".to_owned(), None)];
        for (id, changed) in changes {
            parts.push((format!("if crate::mutation::is({id}) {{ {changed} }} else "), Some(id)));
        }
        parts.push(("{ ".to_owned(), None));
        pieces.extend(around(start..end, 1, parts, " })"));
    }
    for ((start, end), changes) in guards {
        let mut parts = vec![("(".to_owned(), None)];
        for (id, holds) in changes {
            let (no, or) = if holds { ("", "||") } else { ("!", "&&") };
            parts.push((format!("{no}crate::mutation::is({id}) {or} "), Some(id)));
        }
        parts.push(("(".to_owned(), None));
        pieces.extend(around(start..end, 0, parts, "))"));
    }
    debug_assert!(pieces.iter().all(|piece| text.is_char_boundary(piece.at)));
    pieces
}

fn closed(at: usize, parts: Vec<(String, Option<usize>)>) -> [Piece; 2] {
    let order = (true, Reverse(usize::MAX), 0);
    let close = Piece { at, order, parts: Vec::new(), closes: None };
    [Piece { at, order, parts, closes: Some(at) }, close]
}

/// `depth` tells apart those around the same text: 0 is the outermost.
fn around(
    range: Range<usize>,
    depth: usize,
    parts: Vec<(String, Option<usize>)>,
    close: &str,
) -> [Piece; 2] {
    let Range { start, end } = range;
    let closing = Piece {
        at: end,
        order: (false, Reverse(start), usize::MAX - depth),
        parts: vec![(close.to_owned(), None)],
        closes: None,
    };
    let order = (true, Reverse(end), depth);
    [Piece { at: start, order, parts, closes: Some(end) }, closing]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::mutants;

    #[test]
    fn every_mutant_has_its_place_and_the_rest_stays_as_it_is() {
        let text = "fn f(a: u8) -> bool { match a { 1 if a > 2 => !g(a == 3), _ => true } }";
        let found = mutants(text).unwrap();
        let numbered: Vec<_> = found.iter().enumerate().collect();
        let all = schemata(text, &numbered);
        let expected = "fn f(a: u8) -> bool { if crate::mutation::is(0) { return true; } \
            if crate::mutation::is(1) { return false; } match a { 1 if (crate::mutation::is(2) || \
            !crate::mutation::is(3) && ((if crate::mutation::is(4) { a >= 2 } else \
            if crate::mutation::is(5) { a < 2 } else { a > 2 }))) => (if crate::mutation::is(6) { g(a == 3) } else \
            { !g((if crate::mutation::is(7) { a != 3 } else { a == 3 })) }), _ => true } }";
        assert_eq!(all.text, expected);
        syn::parse_file(&all.text).unwrap();
        for (id, _) in numbered {
            let place = all.places.iter().find(|one| one.is_changed && one.ids == [id]).unwrap();
            assert!(all.text[place.range.clone()].contains(&format!("is({id})")), "{id}");
        }
    }
}
