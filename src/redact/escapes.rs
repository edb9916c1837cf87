//! A text with layers of escapes taken off, each byte with the place that it came from.
use std::borrow::Cow;

/// One kind of escapes. A layer takes off one kind alone: what looks like an escape of another kind
/// may be a piece of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Percent,
    Json,
    Html,
}

/// Layers of percent- and JSON-escapes that are decoded: a token may be in an address inside
/// another address, and errors quote JSON in JSON.
const LAYERS: usize = 2;

/// A way to read a text.
pub(super) struct DecodedText<'t> {
    /// The bytes, escapes taken off.
    pub bytes: Cow<'t, [u8]>,
    /// The place of each byte in the original text, and the end of the last one; nothing if the
    /// bytes are the text.
    starts: Option<Vec<usize>>,
}

/// Hands `see` the text as it stands, and with up to two layers of percent- and JSON-escapes and one
/// of HTML taken off, in every order in which that changes something.
pub(super) fn views(text: &str, see: &mut dyn FnMut(&DecodedText<'_>)) {
    let plain = DecodedText { bytes: Cow::Borrowed(text.as_bytes()), starts: None };
    below(&plain, LAYERS, true, see);
}

fn below(view: &DecodedText<'_>, layers: usize, html: bool, see: &mut dyn FnMut(&DecodedText<'_>)) {
    see(view);
    if layers > 0 {
        for escapes in [Escapes::Percent, Escapes::Json] {
            if let Some(inner) = view.without(escapes) {
                below(&inner, layers - 1, html, see);
            }
        }
    }
    if html && let Some(inner) = view.without(Escapes::Html) {
        below(&inner, layers, false, see);
    }
}

impl DecodedText<'_> {
    /// The place of a range of bytes in the original text.
    pub fn span(&self, start: usize, end: usize) -> (usize, usize) {
        let at = |place: usize| match &self.starts {
            None => place,
            // The end of the text is the last of the list.
            Some(starts) => starts.get(place).or(starts.last()).copied().unwrap_or(place),
        };
        (at(start), at(end))
    }

    /// Decodes one layer of escapes of one kind; nothing if there are none.
    fn without(&self, escapes: Escapes) -> Option<DecodedText<'static>> {
        let rest = |at: usize| self.bytes.get(at..).unwrap_or_default();
        let signs = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == escapes.sign());
        let first = signs.map(|(at, _)| at).find(|at| escape(escapes, rest(*at)).is_some())?;
        let mut bytes = self.bytes.get(..first).unwrap_or_default().to_vec();
        let mut starts: Vec<usize> = (0..first).map(|at| self.span(at, at).0).collect();
        let mut at = first;
        while let Some(byte) = self.bytes.get(at) {
            let (length, meant) = match escape(escapes, rest(at)) {
                Some(escape) => escape,
                None => (1, Meant::byte(*byte)),
            };
            // The inner bytes of a character begin where its escape ends: nothing is replaced that
            // begins or ends inside of one.
            let (start, end) = self.span(at, at + length);
            starts.push(start);
            starts.extend(meant.as_bytes().iter().skip(1).map(|_| end));
            bytes.extend_from_slice(meant.as_bytes());
            at += length;
        }
        starts.push(self.span(at, at).0);
        Some(DecodedText { bytes: bytes.into(), starts: Some(starts) })
    }
}

impl Escapes {
    /// The byte that each of them begins with.
    fn sign(self) -> u8 {
        match self {
            Escapes::Percent => b'%',
            Escapes::Json => b'\\',
            Escapes::Html => b'&',
        }
    }
}

/// A decoded escape: a byte, one of several of a character, or a character.
struct Meant {
    bytes: [u8; 4],
    length: usize,
}

impl Meant {
    fn byte(byte: u8) -> Meant {
        Meant { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn char(c: char) -> Meant {
        let mut bytes = [0; 4];
        let length = c.encode_utf8(&mut bytes).len();
        Meant { bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The escape at the beginning: how long it is, and what it stands for.
fn escape(escapes: Escapes, rest: &[u8]) -> Option<(usize, Meant)> {
    match (escapes, rest) {
        (Escapes::Percent, [b'%', high, low, ..]) => {
            let byte = u8::try_from(number(&[*high, *low], 16)?).ok()?;
            Some((3, Meant::byte(byte)))
        }
        (Escapes::Json, [b'\\', tail @ ..]) => {
            backslash(tail).map(|(length, meant)| (length + 1, meant))
        }
        (Escapes::Html, [b'&', tail @ ..]) => {
            entity(tail).map(|(length, c)| (length + 1, Meant::char(c)))
        }
        _ => None,
    }
}

/// Escapes of JSON (RFC 8259, section 7), and `\u{…}`, by which our own messages quote.
fn backslash(tail: &[u8]) -> Option<(usize, Meant)> {
    match tail {
        [b'n', ..] => Some((1, Meant::byte(b'\n'))),
        [b'r', ..] => Some((1, Meant::byte(b'\r'))),
        [b't', ..] => Some((1, Meant::byte(b'\t'))),
        [b'b', ..] => Some((1, Meant::byte(8))),
        [b'f', ..] => Some((1, Meant::byte(12))),
        [b'u', b'{', digits @ ..] => {
            let length = digits.iter().take(7).position(|byte| *byte == b'}')?;
            let c = char::from_u32(number(digits.get(..length)?, 16)?)?;
            Some((length + 3, Meant::char(c)))
        }
        [b'u', digits @ ..] => {
            let first = number(digits.get(..4)?, 16)?;
            if let Some(c) = char::from_u32(first) {
                return Some((5, Meant::char(c)));
            }
            let second = digits.get(4..).filter(|more| more.starts_with(b"\\u"))?;
            let second = number(second.get(2..6)?, 16)?;
            let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let c = char::decode_utf16(units).next()?.ok()?;
            Some((11, Meant::char(c)))
        }
        [byte, ..] if byte.is_ascii_punctuation() => Some((1, Meant::byte(*byte))),
        _ => None,
    }
}

/// The references that XML and HTML libraries write.
fn entity(tail: &[u8]) -> Option<(usize, char)> {
    let length = tail.iter().take(10).position(|byte| *byte == b';')?;
    let c = match tail.get(..length)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        _ => return None,
    };
    Some((length + 1, c))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() || digits.contains(&b'+') {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        views(text, &mut |view| all.push(String::from_utf8_lossy(&view.bytes).into_owned()));
        all
    }

    #[test]
    fn layers_come_off_in_whatever_order_they_were_put_on() {
        for (text, meant) in [
            ("p%C3%a4 1", "pä 1"),
            ("p\\u00e4\\\"\\/", "pä\"/"),
            ("\\uD83E\\udd80 \\u{e4}", "🦀 ä"),
            ("&lt;a&#x27;&#38;", "<a'&"),
            ("%2541", "A"),
            ("\\\\u0041", "A"),
            ("%5Cu0041", "A"),
            ("\\u002541", "A"),
            ("\\u0026#x25;41", "A"),
            ("&#x25;2541", "A"),
        ] {
            assert!(all(text).iter().any(|view| view == meant), "{text}: {:?}", all(text));
        }
        for text in ["100 % & co &amp", "\\ud800 %zz \\u{110000} \\x41"] {
            assert_eq!(all(text), [text]);
        }
        assert!(!all("%252541").contains(&"A".to_owned()), "three layers stay");
    }

    #[test]
    fn a_layer_takes_off_one_kind_alone() {
        assert!(all("%41\\\"").contains(&"%41\"".to_owned()));
        assert!(all("%5C%5Cn").contains(&"\\\\n".to_owned()));
    }

    #[test]
    fn every_byte_knows_where_it_came_from() {
        let mut spans = Vec::new();
        views("x%C3%A4\\u00e4y", &mut |view| {
            let at = view.bytes.windows(4).position(|four| four == "ää".as_bytes());
            spans.extend(at.map(|at| view.span(at, at + 4)));
        });
        assert_eq!(spans, [(1, 13), (1, 13)]);
    }
}
