//! Finding secrets by their value in the ways of writing that are promised, and putting names in
//! their place.
use super::escapes::{DecodedText, views};
use super::needles::{Needle, Needles};
use super::{Hidden, Names, RedactionError, SHORTEST, SHORTEST_LOOSE, names_in};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

/// Replaces secrets by their names: as they stand, under layers of percent-, JSON- and HTML-escapes,
/// in base64 from its beginning, cut off with an ellipsis.
///
/// Cheap to clone. If what has to be found could not be remembered, it shows nothing at all.
#[derive(Clone)]
pub struct Redactor(Result<Arc<Index>, RedactionError>);

struct Index {
    plain: Needles,
    base64: Needles,
    /// The number of known secrets and logins.
    known: (usize, usize),
    names: Arc<Names>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FoundSecret {
    start: usize,
    end: usize,
    secret: usize,
}

/// The shortest beginning of a secret that is looked for in front of an ellipsis, in bytes.
const SHORTEST_BEGINNING: usize = 8;
/// The longest stretch of a secret that is searched for as one, in bytes: of a text that repeats
/// itself, each place is compared with so much at most.
const LONGEST_PIECE: usize = 4 << 10;
/// Bytes of a secret that identify its base64 form; a multiple of three. The base64 text after it
/// belongs to it.
const BASE64_OF: usize = 192;

impl Redactor {
    /// Of the secrets in the order of learning, and of `user:password` with the number of the secret.
    pub(super) fn new(
        secrets: &[Hidden],
        logins: &[(Hidden, usize)],
        names: Arc<Names>,
    ) -> Redactor {
        let numbered = || secrets.iter().enumerate().map(|(secret, text)| (text, secret));
        let plain = numbered().flat_map(|(text, secret)| plain(text, secret)).collect();
        let logins_too = numbered().chain(logins.iter().map(|(text, secret)| (text, *secret)));
        let base64 = logins_too.flat_map(|(text, secret)| base64(text, secret)).collect();
        let known = (secrets.len(), logins.len());
        let (plain, base64) = (Needles::new(plain), Needles::new(base64));
        Redactor(Ok(Arc::new(Index { plain, base64, known, names })))
    }

    /// A redactor that shows nothing.
    pub(super) fn broken(why: RedactionError) -> Redactor {
        Redactor(Err(why))
    }

    /// The text with every secret replaced by its name, which is given when it is first needed.
    ///
    /// # Errors
    /// Not all secrets are known.
    pub fn redacted(&self, text: &str) -> Result<String, RedactionError> {
        let index = self.0.as_ref().map_err(Clone::clone)?;
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end, secrets) in index.places(text) {
            shown.push_str(text.get(at..start).unwrap_or_default());
            secrets.iter().for_each(|secret| shown.push_str(&index.names.of(*secret)));
            at = end;
        }
        shown.push_str(text.get(at..).unwrap_or_default());
        Ok(shown)
    }

    /// The same for a text that is shown at once: where not all secrets are known, none of it is.
    pub fn text(&self, text: &str) -> String {
        self.redacted(text).unwrap_or_else(|why| format!("(withheld: {why})"))
    }

    pub(super) fn knows(&self, known: (usize, usize)) -> bool {
        self.0.as_ref().is_ok_and(|index| index.known == known)
    }
}

impl Index {
    /// The places of secrets, in order and without overlap, with the secrets there.
    fn places(&self, text: &str) -> Vec<(usize, usize, Vec<usize>)> {
        let mut found = Vec::new();
        views(text, &mut |view| self.look(view, &mut found));
        if found.is_empty() {
            return Vec::new();
        }
        let names = names_in(text);
        let is_name = |one: &FoundSecret| {
            let before = names.partition_point(|(start, _)| *start <= one.start);
            names.get(..before).and_then(<[_]>::last).is_some_and(|(_, end)| one.end <= *end)
        };
        found.retain(|one| {
            text.is_char_boundary(one.start) && text.is_char_boundary(one.end) && !is_name(one)
        });
        found.sort_by_key(|one| (one.start, Reverse(one.end), one.secret));
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

    fn look(&self, view: &DecodedText<'_>, found: &mut Vec<FoundSecret>) {
        let mut add = |start: usize, end: usize, secret: usize| {
            let (start, end) = view.span(start, end);
            found.push(FoundSecret { start, end, secret });
        };
        for at in 0..view.bytes.len() {
            let rest = view.bytes.get(at..).unwrap_or_default();
            let plain = self.plain.begun(rest);
            if let Some((length, secret)) = plain.whole {
                add(at, at + length, secret);
            }
            if let Some((common, secret)) = plain.part
                && let Some(length) = cut_off(rest, common)
            {
                add(at, at + length, secret);
            }
            if let Some((length, secret)) = self.base64.begun(rest).whole {
                let more = rest.get(length..).unwrap_or_default();
                add(at, at + length + rest_of_base64(more), secret);
            }
        }
    }
}

/// The number of bytes before an ellipsis, at most those of a secret; a secret may contain dots.
fn cut_off(rest: &[u8], common: usize) -> Option<usize> {
    let least = SHORTEST_BEGINNING.max(common.saturating_sub(3));
    let is_ellipsis = |length: &usize| {
        let behind = rest.get(*length..).unwrap_or_default();
        behind.starts_with("…".as_bytes()) || behind.starts_with(b"...")
    };
    (least..=common).rev().find(is_ellipsis)
}

/// The length of the base64 text at the beginning of `bytes`.
fn rest_of_base64(bytes: &[u8]) -> usize {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let letters = bytes.iter().take_while(|byte| is_letter(byte)).count();
    let padding = bytes.iter().skip(letters).take(2).take_while(|byte| **byte == b'=');
    letters + padding.count()
}

/// A secret as it stands, as a form writes its spaces, and without white space around it, which
/// headers and servers drop.
fn plain(text: &Hidden, secret: usize) -> Vec<Needle> {
    let value = text.as_str();
    if value.len() > LONGEST_PIECE {
        return pieces(value).map(|piece| Needle { text: Hidden::new(piece), secret }).collect();
    }
    let mut all = vec![Needle { text: text.clone(), secret }];
    for other in [value.trim().to_owned(), value.replace(' ', "+")] {
        if other != value && other.len() >= SHORTEST {
            all.push(Needle { text: Hidden::new(&other), secret });
        }
    }
    all
}

/// A long text in pieces of about the same length.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let size = text.len().div_ceil(text.len().div_ceil(LONGEST_PIECE).max(1)).max(1);
    let mut rest = text;
    std::iter::from_fn(move || {
        let cut = (size.min(rest.len())..=rest.len()).find(|at| rest.is_char_boundary(*at))?;
        let (piece, tail) = rest.split_at(cut);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The letters of base64 that the beginning of a secret alone decides, in both alphabets. A short
/// secret would be found in other words.
fn base64(text: &Hidden, secret: usize) -> Vec<Needle> {
    let bytes = text.as_str().as_bytes();
    if bytes.len() < SHORTEST_LOOSE {
        return Vec::new();
    }
    let beginning = bytes.get(..BASE64_OF).unwrap_or(bytes);
    let mut letters = STANDARD_NO_PAD.encode(beginning);
    letters.truncate(beginning.len() * 8 / 6);
    let for_urls = letters.replace('+', "-").replace('/', "_");
    let mut all = vec![letters];
    if all.first() != Some(&for_urls) {
        all.push(for_urls);
    }
    all.iter().map(|letters| Needle { text: Hidden::new(letters), secret }).collect()
}
