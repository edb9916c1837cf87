//! Ways of reading a text: as it stands, with one layer of escapes after the other taken off, and
//! without the white space that wrapping puts between. Each keeps where its bytes came from.

/// How many layers of escapes are taken off: JSON in JSON in a URL in a page, and one to spare.
pub(super) const LAYERS: usize = 4;

/// Bytes, each with the place in the first text that it came from.
pub(super) struct View {
    pub bytes: Vec<u8>,
    /// Nothing, if the bytes are the text.
    spans: Option<Vec<(u32, u32)>>,
}

impl View {
    /// The text as it stands.
    pub fn plain(text: &[u8]) -> View {
        View { bytes: text.to_vec(), spans: None }
    }

    /// The text and what is left of it as one layer after the other is taken off.
    pub fn layers(text: &str) -> Vec<View> {
        let mut all = vec![View::plain(text.as_bytes())];
        while all.len() <= LAYERS {
            let Some(next) = all.last().and_then(View::decoded) else { break };
            all.push(next);
        }
        all
    }

    /// With one layer of escapes taken off; nothing, if there is none. Where it was wrapped it is put
    /// together first, for a line may break inside an escape.
    fn decoded(&self) -> Option<View> {
        if !self.bytes.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&')) {
            return None;
        }
        let breaks = self.bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let view = if breaks { self.unwrapped().unescaped() } else { self.unescaped() };
        (view.bytes != self.bytes).then_some(view)
    }

    /// Without line breaks and the indentation around them.
    fn unwrapped(&self) -> View {
        let kept = || kept_when_unwrapped(&self.bytes);
        View {
            bytes: kept().filter_map(|at| self.bytes.get(at).copied()).collect(),
            spans: Some(kept().map(|at| self.span(at, at)).collect()),
        }
    }

    fn unescaped(&self) -> View {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut spans = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, decoded) = escape(rest).unwrap_or((1, Piece::Byte(rest[0])));
            let from = self.span(at, at + length - 1);
            let mut buffer = [0; 4];
            let written = match decoded {
                Piece::Byte(byte) => {
                    buffer[0] = byte;
                    &buffer[..1]
                }
                Piece::Char(c) => c.encode_utf8(&mut buffer).as_bytes(),
            };
            bytes.extend_from_slice(written);
            spans.extend(written.iter().map(|_| from));
            at += length;
        }
        View { bytes, spans: Some(spans) }
    }

    /// Where the bytes from the one to the other, both included, stand in the first text.
    pub fn span(&self, first: usize, last: usize) -> (u32, u32) {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        match &self.spans {
            None => (offset(first), offset(last + 1)),
            Some(spans) => {
                let start = spans.get(first).map_or(0, |span| span.0);
                (start, spans.get(last).map_or(start, |span| span.1))
            }
        }
    }

    /// Without white space and `+`, which stands for a space in forms.
    pub fn squeezed(&self) -> Squeezed {
        let size = self.bytes.len();
        let mut squeezed =
            Squeezed { bytes: Vec::with_capacity(size), at: Vec::with_capacity(size) };
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let blank = blank(rest);
            if blank == 0 {
                squeezed.bytes.push(rest[0]);
                squeezed.at.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
            at += blank.max(1);
        }
        squeezed
    }
}

/// A [`View`] without what wrapping puts between.
pub(super) struct Squeezed {
    pub bytes: Vec<u8>,
    /// For each byte its place in the view.
    pub at: Vec<u32>,
}

/// How many bytes of white space of one kind stand at the beginning, `+` and characters without
/// width included.
fn blank(rest: &[u8]) -> usize {
    match rest {
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b'+', ..] => 1,
        // No-break space and soft hyphen.
        [0xc2, 0xa0 | 0xad, ..] => 2,
        // Spaces, joiners and line separators of the block "General Punctuation", word joiner, BOM.
        [0xe2, 0x80, 0x80..=0x8f | 0xa8..=0xaf, ..] | [0xe2, 0x81, 0xa0, ..] => 3,
        [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    }
}

/// The bytes without runs of white space that hold a line break: a text before it was wrapped.
pub(super) fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    kept_when_unwrapped(bytes).filter_map(|at| bytes.get(at).copied()).collect()
}

/// The places of the bytes that stand in no run of white space with a line break in it.
fn kept_when_unwrapped(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_blank = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_whitespace);
    let mut dropped_until = 0;
    (0..bytes.len()).filter(move |at| {
        if *at >= dropped_until && is_blank(*at) {
            let run = (at + 1..bytes.len()).find(|next| !is_blank(*next)).unwrap_or(bytes.len());
            let blanks = bytes.get(*at..run).unwrap_or_default();
            if blanks.contains(&b'\n') || blanks.contains(&b'\r') {
                dropped_until = run;
            }
        }
        *at >= dropped_until
    })
}

/// What an escape stands for.
enum Piece {
    Byte(u8),
    Char(char),
}

/// The escape at the beginning: how long it is, and what it stands for.
fn escape(rest: &[u8]) -> Option<(usize, Piece)> {
    match rest {
        [b'%', high, low, ..] => Some((3, Piece::Byte(hex_pair(*high, *low)?))),
        // How a quote stands in a word of a shell.
        [b'\'', b'\\', b'\'', b'\'', ..] => Some((4, Piece::Byte(b'\''))),
        [b'\\', tail @ ..] => backslash(tail).map(|(length, piece)| (length + 1, piece)),
        [b'&', tail @ ..] => entity(tail).map(|(length, c)| (length + 1, Piece::Char(c))),
        _ => None,
    }
}

/// Escapes of JSON (RFC 8259, section 7), of programming languages and of Markdown.
fn backslash(tail: &[u8]) -> Option<(usize, Piece)> {
    match tail {
        [b'n', ..] => Some((1, Piece::Byte(b'\n'))),
        [b'r', ..] => Some((1, Piece::Byte(b'\r'))),
        [b't', ..] => Some((1, Piece::Byte(b'\t'))),
        [b'b', ..] => Some((1, Piece::Byte(8))),
        [b'f', ..] => Some((1, Piece::Byte(12))),
        [b'x', high, low, ..] => Some((3, Piece::Byte(hex_pair(*high, *low)?))),
        [b'u', b'{', digits @ ..] => {
            let length = digits.iter().take(7).position(|byte| *byte == b'}')?;
            let c = char::from_u32(number(digits.get(..length)?, 16)?)?;
            Some((length + 3, Piece::Char(c)))
        }
        // Eight digits in Python and C; four where a server answers in capitals.
        [b'U', digits @ ..] => {
            let char_of = |length| char::from_u32(number(digits.get(..length)?, 16)?);
            let wide = char_of(8).map(|c| (9, Piece::Char(c)));
            wide.or_else(|| char_of(4).map(|c| (5, Piece::Char(c))))
                .or(Some((1, Piece::Byte(b'U'))))
        }
        [b'u', digits @ ..] => {
            let first = number(digits.get(..4)?, 16)?;
            if let Some(c) = char::from_u32(first) {
                return Some((5, Piece::Char(c)));
            }
            let second = digits.get(4..).filter(|more| more.starts_with(b"\\u"))?;
            let second = number(second.get(2..6)?, 16)?;
            let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let c = char::decode_utf16(units).next()?.ok()?;
            Some((11, Piece::Char(c)))
        }
        // Markdown and shells put one before what they would read otherwise, or at the end of a line.
        [byte, ..] if byte.is_ascii_graphic() && *byte != b'u' && *byte != b'x' => {
            Some((1, Piece::Byte(*byte)))
        }
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
        b"nbsp" => ' ',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        _ => return None,
    };
    Some((length + 1, c))
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    u8::try_from(number(&[high, low], 16)?).ok()
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

    fn last(text: &str) -> String {
        let layers = View::layers(text);
        String::from_utf8_lossy(&layers.last().unwrap().bytes).into_owned()
    }

    #[test]
    fn layers_come_off_whichever_way_they_were_put_on() {
        for (text, meant) in [
            ("p%C3%a4 1", "pä 1"),
            ("p\\u00e4\\\"\\/", "pä\"/"),
            ("\\uD83E\\udd80", "🦀"),
            ("\\U0041\\U00E4\\U0001F980\\Ux", "Aä🦀Ux"),
            ("&lt;a&#x27;&#38;", "<a'&"),
            ("%2541", "A"),
            ("\\\\u0041", "A"),
            ("it'\\''s", "it's"),
            ("%C3%\n  A4", "ä"),
            ("a\\\n  c%20", "ac "),
            ("100 % & co &amp", "100 % & co &amp"),
            ("\\ud800 %zz \\u{110000}", "\\ud800 %zz \\u{110000}"),
        ] {
            assert_eq!(last(text), meant, "{text}");
        }
    }

    #[test]
    fn every_byte_knows_where_it_came_from() {
        let layers = View::layers("x%C3%A4\\u0041y");
        assert_eq!(layers[1].bytes, "xäAy".as_bytes());
        assert_eq!(layers[1].span(1, 2), (1, 7));
        assert_eq!(layers[1].span(3, 3), (7, 13));
    }

    #[test]
    fn wrapping_is_undone() {
        assert_eq!(unwrapped(b"ab c\n  d\r\ne"), b"ab cde");
        let squeezed = View::plain("a b+c\u{200b}\n d\u{a0}".as_bytes()).squeezed();
        assert_eq!(
            (squeezed.bytes.as_slice(), squeezed.at.as_slice()),
            (&b"abcd"[..], &[0, 2, 4, 10][..])
        );
    }
}
