//! Finding secrets by their value, however they are written, and putting names in their place.
use super::view::{Squeezed, View, unwrapped};
use super::{Hidden, Names, SHORTEST_LOOSE};
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How close a text has to come to a form of a secret to be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// White space and upper or lower case do not matter.
    Loose,
    /// White space does not matter: base64 says another thing in other case.
    SameCase,
    /// Only line breaks do not matter: a short secret would be found in ordinary words.
    Same,
}

/// One way in which a secret may be written.
struct Form {
    /// Its place among the secrets.
    secret: usize,
    rule: Rule,
    /// As written, without line breaks.
    exact: Vec<u8>,
    /// Without any white space.
    squeezed: Vec<u8>,
    /// How many bytes in front of it and behind it belong to it: white space, or the letters of
    /// base64 that hold some of its bits.
    edges: (usize, usize),
}

/// Replaces secrets by their names, in whatever way they are written: with characters escaped for
/// JSON, URLs, forms, pages and shells, some of them or all and several times over, in base64
/// wherever it begins, in hexadecimal, wrapped, in other case, cut off with an ellipsis.
pub struct Redactor {
    finder: Option<AhoCorasick>,
    /// For each pattern of the finder the forms that read the same without white space and case.
    forms: Vec<Vec<Form>>,
    /// What stands in front of an ellipsis is looked up here: sorted, in lower case.
    beginnings: Vec<(Vec<u8>, usize)>,
    longest: usize,
    secrets: Vec<Hidden>,
    names: Arc<Names>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

/// A place in a text where a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    start: usize,
    end: usize,
    secret: usize,
    /// Whether it is written letter by letter.
    exact: bool,
}

/// The shortest beginning of a secret that is looked for in front of an ellipsis, in bytes.
const SHORTEST_BEGINNING: usize = 8;
/// A text is searched in pieces of this size, so that its views take little memory.
const PIECE: usize = 1 << 18;
/// How far pieces overlap: no secret, in any form, is longer.
const OVERLAP: usize = 1 << 14;

impl Redactor {
    pub(super) fn new(secrets: Vec<Hidden>, names: Arc<Names>) -> Redactor {
        let mut by_pattern: BTreeMap<Vec<u8>, Vec<Form>> = BTreeMap::new();
        let mut beginnings = Vec::new();
        for (secret, value) in secrets.iter().enumerate() {
            for form in forms(secret, value.as_str()) {
                let pattern = form.squeezed.to_ascii_lowercase();
                if form.rule == Rule::Loose {
                    beginnings.push((pattern.clone(), secret));
                }
                by_pattern.entry(pattern).or_default().push(form);
            }
        }
        beginnings.sort();
        let longest = beginnings.iter().map(|(beginning, _)| beginning.len()).max().unwrap_or(0);
        let (patterns, forms): (Vec<_>, Vec<_>) = by_pattern.into_iter().unzip();
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&patterns)
            .ok()
            .filter(|_| !patterns.is_empty());
        Redactor { finder, forms, beginnings, longest, secrets, names }
    }

    /// A redactor that knows of no secret.
    pub fn none() -> Redactor {
        Redactor::new(Vec::new(), Arc::default())
    }

    /// The text with every secret replaced by its name, which is given when it is first needed.
    pub fn text(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end, secrets) in self.places(text) {
            shown.push_str(text.get(at..start).unwrap_or_default());
            for secret in secrets {
                shown.push_str(&self.name(secret));
            }
            at = end;
        }
        shown.push_str(text.get(at..).unwrap_or_default());
        shown
    }

    /// The names of the secrets that a text still holds, each once.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let places = self.places(text);
        let mut names: Vec<String> =
            places.iter().flat_map(|(_, _, secrets)| secrets).map(|s| self.name(*s)).collect();
        names.sort();
        names.dedup();
        names
    }

    fn name(&self, secret: usize) -> String {
        self.secrets.get(secret).map(|value| self.names.of(value.as_str())).unwrap_or_default()
    }

    /// Where secrets stand, in order and apart from each other, and which they are.
    fn places(&self, text: &str) -> Vec<(usize, usize, Vec<usize>)> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let mut found: Vec<Found> = pieces(text)
            .flat_map(|(at, piece)| {
                let shifted =
                    move |one: Found| Found { start: one.start + at, end: one.end + at, ..one };
                self.found(finder, piece).into_iter().map(shifted)
            })
            .collect();
        let protected = super::names_in(text);
        found.retain(|one| {
            !protected.iter().any(|(start, end)| *start <= one.start && one.end <= *end)
        });
        found.sort_by_key(|one| (one.start, Reverse(one.end), !one.exact, one.secret));
        let mut places: Vec<(usize, usize, Vec<usize>)> = Vec::new();
        for one in found {
            match places.last_mut() {
                Some((_, end, _)) if one.end <= *end => {}
                // The pieces of a long secret follow each other; others overlap.
                Some((_, end, secrets))
                    if one.start < *end
                        || (one.start == *end && secrets.last() == Some(&one.secret)) =>
                {
                    *end = one.end;
                    if secrets.last() != Some(&one.secret) {
                        secrets.push(one.secret);
                    }
                }
                _ => places.push((one.start, one.end, vec![one.secret])),
            }
        }
        places
    }

    fn found(&self, finder: &AhoCorasick, text: &str) -> Vec<Found> {
        let mut all = Vec::new();
        for view in View::layers(text) {
            let squeezed = view.squeezed();
            for one in finder.find_overlapping_iter(&squeezed.bytes) {
                let forms = self.forms.get(one.pattern().as_usize()).map_or(&[][..], Vec::as_slice);
                all.extend(accepted(forms, &view, &squeezed, one.range()));
            }
            all.extend(self.cut_off(&view, &squeezed));
        }
        let whole =
            |one: &Found| text.is_char_boundary(one.start) && text.is_char_boundary(one.end);
        all.into_iter().filter(whole).collect()
    }

    /// Beginnings of secrets in front of an ellipsis.
    fn cut_off(&self, view: &View, squeezed: &Squeezed) -> Vec<Found> {
        let mut all = Vec::new();
        for at in ellipses(&squeezed.bytes) {
            for length in (SHORTEST_BEGINNING..=at.min(self.longest)).rev() {
                let Some(tail) = squeezed.bytes.get(at - length..at) else { continue };
                let tail = tail.to_ascii_lowercase();
                let first = self.beginnings.partition_point(|(one, _)| *one < tail);
                let Some((beginning, secret)) = self.beginnings.get(first) else { continue };
                if beginning.starts_with(&tail) {
                    let (start, end) = span(view, squeezed, at - length, at - 1);
                    all.push(Found { start, end, secret: *secret, exact: false });
                    break;
                }
            }
        }
        all
    }
}

/// The text in overlapping pieces, each with where it begins.
fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let boundary =
        |at: usize| (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at));
    let last = text.len().saturating_sub(1) / PIECE;
    (0..=last).filter_map(move |n| {
        let start = boundary(n * PIECE)?;
        Some((start, text.get(start..boundary((n + 1) * PIECE + OVERLAP)?)?))
    })
}

fn ellipses(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let starts = |at: &usize| {
        bytes
            .get(*at..)
            .is_some_and(|rest| rest.starts_with("…".as_bytes()) || rest.starts_with(b"..."))
    };
    (0..bytes.len()).filter(|at| matches!(bytes.get(*at), Some(b'.' | 0xe2))).filter(starts)
}

/// Where a stretch of the squeezed text stands in the first one.
fn span(view: &View, squeezed: &Squeezed, first: usize, last: usize) -> (usize, usize) {
    let at = |n: usize| squeezed.at.get(n).map_or(0, |at| *at as usize);
    let (start, end) = view.span(at(first), at(last));
    (start as usize, end as usize)
}

/// The secret that a stretch of text stands for: one written exactly so, before one that is alike.
fn accepted(
    forms: &[Form],
    view: &View,
    squeezed: &Squeezed,
    range: std::ops::Range<usize>,
) -> Option<Found> {
    let last = range.end.checked_sub(1)?;
    let (from, to) = (*squeezed.at.get(range.start)? as usize, *squeezed.at.get(last)? as usize);
    let letters = squeezed.bytes.get(range.clone())?;
    let fits = |form: &&Form| match form.rule {
        Rule::Loose => true,
        Rule::SameCase => form.squeezed == letters,
        Rule::Same => {
            form.squeezed == letters
                && view.bytes.get(from..=to).is_some_and(|text| spaced(text) == spaced(&form.exact))
        }
    };
    let exact = forms.iter().filter(fits).find(|form| form.squeezed == letters);
    let form = exact.or_else(|| forms.iter().find(fits))?;
    let (first, last) = widened(form, view, from, to);
    let (start, end) = view.span(first, last);
    let (start, end) = (start as usize, end as usize);
    Some(Found { start, end, secret: form.secret, exact: exact.is_some() })
}

/// Without line breaks, and with the spaces that `+` stands for in forms.
fn spaced(text: &[u8]) -> Vec<u8> {
    unwrapped(text).into_iter().map(|byte| if byte == b'+' { b' ' } else { byte }).collect()
}

/// With its edges, wherever a line breaks between; and with the padding of base64.
fn widened(form: &Form, view: &View, from: usize, to: usize) -> (usize, usize) {
    let byte = |at: usize| view.bytes.get(at).copied();
    let breaks = |at: &usize| matches!(byte(*at), Some(b'\n' | b'\r'));
    let is_base64 = form.rule == Rule::SameCase;
    let belongs = |at: &usize| {
        byte(*at).is_some_and(|byte| match is_base64 {
            true => byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte),
            false => byte.is_ascii_whitespace() || byte == b'+',
        })
    };
    let behind = |last: usize, is: &dyn Fn(&usize) -> bool| {
        (last + 1..view.bytes.len()).find(|at| !is_base64 || !breaks(at)).filter(is).unwrap_or(last)
    };
    let before = |first: usize| {
        (0..first).rev().find(|at| !is_base64 || !breaks(at)).filter(belongs).unwrap_or(first)
    };
    let (mut first, mut last) = (from, to);
    (0..form.edges.0).for_each(|_| first = before(first));
    (0..form.edges.1).for_each(|_| last = behind(last, &belongs));
    if is_base64 {
        (0..2).for_each(|_| last = behind(last, &|at| byte(*at) == Some(b'=')));
    }
    (first, last)
}

/// The longest stretch of a secret that is searched for as one, in bytes; a longer one is searched
/// for in pieces.
const LONGEST_FORM: usize = 1 << 10;

fn forms(secret: usize, value: &str) -> Vec<Form> {
    let count = value.len().div_ceil(LONGEST_FORM).max(1);
    let size = value.len().div_ceil(count).max(1);
    let mut all = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let cut = (size.min(rest.len())..=rest.len()).find(|at| rest.is_char_boundary(*at));
        let (piece, tail) = rest.split_at(cut.unwrap_or(rest.len()));
        all.extend(forms_of_piece(secret, piece));
        rest = tail;
    }
    all
}

fn forms_of_piece(secret: usize, value: &str) -> Vec<Form> {
    let rule = if value.len() < SHORTEST_LOOSE { Rule::Same } else { Rule::Loose };
    // What looks like an escape in the secret itself is read as one in the text, too.
    let plain = View::layers(value).into_iter().map(|view| (rule, view.bytes));
    let mut all: Vec<Form> =
        plain.filter_map(|(rule, text)| form(secret, rule, &text, (0, 0))).collect();
    for offset in 0..3 {
        let (inside, edges) = base64_inside(value.as_bytes(), offset);
        let for_urls = inside.replace('+', "-").replace('/', "_");
        if for_urls != inside {
            all.extend(form(secret, Rule::SameCase, for_urls.as_bytes(), edges));
        }
        all.extend(form(secret, Rule::SameCase, inside.as_bytes(), edges));
    }
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    all.extend(form(secret, Rule::Loose, hex.as_bytes(), (0, 0)));
    all
}

/// A form of a secret; nothing, if it is white space alone. `edges` are those beside its own white space.
fn form(secret: usize, rule: Rule, text: &[u8], edges: (usize, usize)) -> Option<Form> {
    let exact = unwrapped(text);
    let squeezed = View::plain(&exact).squeezed();
    let (first, last) = (*squeezed.at.first()? as usize, *squeezed.at.last()? as usize);
    let edges = (edges.0 + first, edges.1 + exact.len() - 1 - last);
    let inner = exact.get(first..=last)?.to_vec();
    Some(Form { secret, rule, exact: inner, squeezed: squeezed.bytes, edges })
}

/// The letters of base64 that a value alone decides, where so many bytes (0 to 2) stand before it in
/// a group of three: `user:password` of Basic begins anywhere. And how many letters there are before
/// and behind that hold some of its bits.
fn base64_inside(value: &[u8], offset: usize) -> (String, (usize, usize)) {
    let padded = [vec![0; offset], value.to_vec()].concat();
    let letters = STANDARD_NO_PAD.encode(&padded);
    let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    let inside = letters.get(first..last.max(first)).unwrap_or_default().to_owned();
    (inside, (usize::from(offset > 0), letters.len() - last))
}
