//! Finding secrets by their value, however they are written, and putting names in their place.
use super::view::{Squeezed, View, unwrapped};
use super::{Hidden, Names, SHORTEST_LOOSE};
use crate::encoding::encode_segment;
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
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    index: Arc<Index>,
    names: Arc<Names>,
}

/// What is searched for.
struct Index {
    /// Finds how forms begin, in lower case and without white space: a few letters are quickly
    /// found, and what follows is compared.
    finder: Option<AhoCorasick>,
    /// For each pattern of the finder the forms that begin so.
    forms: Vec<Vec<Form>>,
    /// What stands in front of an ellipsis is looked up here: sorted, in lower case.
    beginnings: Vec<(Vec<u8>, usize)>,
    longest: usize,
    secrets: Vec<Hidden>,
    /// How far the pieces of a text overlap, in bytes: what is longer is no secret in any form.
    overlap: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.index.secrets.len())
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
/// A text is searched in pieces of this size, in bytes, so that its views take little memory, and
/// many layers of escapes in one place do not slow down the rest.
const PIECE: usize = 1 << 13;
/// The least and the most by which pieces overlap.
const OVERLAP: (usize, usize) = (1 << 10, 1 << 15);
/// How many times longer a secret may become by escapes.
const GROWTH: usize = 16;
/// How many letters of a form the finder looks for.
const BEGINNING: usize = 8;

impl Redactor {
    pub(super) fn new(secrets: Vec<Hidden>, names: Arc<Names>) -> Redactor {
        Redactor { index: Arc::new(Index::new(secrets)), names }
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
        let value = self.index.secrets.get(secret);
        value.map(|value| self.names.of(value.as_str())).unwrap_or_default()
    }

    /// How many secrets it knows.
    pub(super) fn len(&self) -> usize {
        self.index.secrets.len()
    }

    /// Where secrets stand, in order and apart from each other, and which they are.
    fn places(&self, text: &str) -> Vec<(usize, usize, Vec<usize>)> {
        let Some(finder) = &self.index.finder else { return Vec::new() };
        let mut found: Vec<Found> = pieces(text, self.index.overlap)
            .flat_map(|(at, piece)| {
                let shifted =
                    move |one: Found| Found { start: one.start + at, end: one.end + at, ..one };
                self.index.found(finder, piece).into_iter().map(shifted)
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
}

impl Index {
    fn new(secrets: Vec<Hidden>) -> Index {
        let mut by_beginning: BTreeMap<Vec<u8>, Vec<Form>> = BTreeMap::new();
        let mut beginnings = Vec::new();
        for (secret, value) in secrets.iter().enumerate() {
            for form in forms(secret, value.as_str()) {
                let folded = form.squeezed.to_ascii_lowercase();
                let beginning = folded.get(..BEGINNING).unwrap_or(&folded).to_vec();
                if form.rule == Rule::Loose {
                    beginnings.push((folded, secret));
                }
                by_beginning.entry(beginning).or_default().push(form);
            }
        }
        beginnings.sort();
        let longest = beginnings.iter().map(|(beginning, _)| beginning.len()).max().unwrap_or(0);
        let (patterns, forms): (Vec<_>, Vec<_>) = by_beginning.into_iter().unzip();
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .ok()
            .filter(|_| !patterns.is_empty());
        let overlap = (longest * GROWTH).clamp(OVERLAP.0, OVERLAP.1);
        Index { finder, forms, beginnings, longest, secrets, overlap }
    }

    fn found(&self, finder: &AhoCorasick, text: &str) -> Vec<Found> {
        let mut all = Vec::new();
        for view in View::layers(text) {
            let squeezed = view.squeezed();
            let folded = squeezed.bytes.to_ascii_lowercase();
            for one in finder.find_overlapping_iter(&folded) {
                let forms = self.forms.get(one.pattern().as_usize()).map_or(&[][..], Vec::as_slice);
                let accepted = |form| accepted(form, &view, &squeezed, one.start());
                all.extend(forms.iter().filter_map(accepted));
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
fn pieces(text: &str, overlap: usize) -> impl Iterator<Item = (usize, &str)> {
    let boundary =
        |at: usize| (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at));
    let last = text.len().saturating_sub(1) / PIECE;
    (0..=last).filter_map(move |n| {
        let start = boundary(n * PIECE)?;
        Some((start, text.get(start..boundary((n + 1) * PIECE + overlap)?)?))
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

/// Where a form stands, if it is what begins there.
fn accepted(form: &Form, view: &View, squeezed: &Squeezed, start: usize) -> Option<Found> {
    let letters = squeezed.bytes.get(start..start + form.squeezed.len())?;
    if !letters.eq_ignore_ascii_case(&form.squeezed) {
        return None;
    }
    let last = start + form.squeezed.len().checked_sub(1)?;
    let (from, to) = (*squeezed.at.get(start)? as usize, *squeezed.at.get(last)? as usize);
    let exact = letters == form.squeezed;
    let fits = match form.rule {
        Rule::Loose => true,
        Rule::SameCase => exact,
        Rule::Same => {
            let text = view.bytes.get(from..=to)?;
            exact && spaced(text) == spaced(&form.exact)
        }
    };
    if !fits {
        return None;
    }
    let (first, last) = widened(form, view, from, to);
    let (start, end) = view.span(first, last);
    Some(Found { start: start as usize, end: end as usize, secret: form.secret, exact })
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
    let mut cases = vec![value.to_owned()];
    if rule == Rule::Loose && !value.is_ascii() {
        // Comparing without case knows the letters of ASCII alone.
        cases.extend([value.to_lowercase(), value.to_uppercase()]);
        cases.dedup();
    }
    if value.contains("\\ ") {
        // A form writes this as `\+`, which looks like an escaped plus.
        cases.push(value.replace(' ', "+"));
    }
    if value.contains(['\\', '%', '&']) {
        // Taking off the escapes of one kind would take those of the secret with them.
        cases.extend(escaped_once(value));
    }
    let layers = cases.iter().flat_map(|value| View::layers(value));
    let plain = layers.map(|view| (rule, view.bytes));
    let mut all: Vec<Form> =
        plain.filter_map(|(rule, text)| form(secret, rule, &text, (0, 0))).collect();
    for written in spellings(value) {
        for offset in 0..3 {
            let (inside, edges) = base64_inside(written.as_bytes(), offset);
            let for_urls = inside.replace('+', "-").replace('/', "_");
            if for_urls != inside {
                all.extend(form(secret, Rule::SameCase, for_urls.as_bytes(), edges));
            }
            all.extend(form(secret, Rule::SameCase, inside.as_bytes(), edges));
        }
        let hex: String = written.bytes().map(|byte| format!("{byte:02x}")).collect();
        all.extend(form(secret, Rule::Loose, hex.as_bytes(), (0, 0)));
    }
    all
}

/// How a secret stands in what is then put into base64 or hexadecimal: as it is, in JSON, in a URL.
fn spellings(value: &str) -> Vec<String> {
    let quoted = serde_json::Value::String(value.to_owned()).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut all = vec![value.to_owned()];
    for written in [inside.unwrap_or(value).to_owned(), encode_segment(value)] {
        if !all.contains(&written) {
            all.push(written);
        }
    }
    all
}

/// A secret in JSON, in a URL, in a form and in a page.
fn escaped_once(value: &str) -> Vec<String> {
    let mut all = spellings(value);
    let in_json = all.get(1).map(|written| written.replace('/', "\\/"));
    let in_form = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let in_page = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = in_page.replace('"', "&quot;").replace('\'', "&#x27;");
    all.extend(in_json.into_iter().chain([in_form, in_page, quoted]));
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
