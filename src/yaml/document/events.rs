//! Events of the YAML parser as the build script wrote them beside a bundled file.
use granit_parser::{Event, Marker, ScalarStyle, Span, StructureStyle};
use std::borrow::Cow;
use std::str::from_utf8;

/// Reads the events of a text; ends early where the bytes are not what the build script writes.
pub(super) struct Events<'t> {
    text: &'t str,
    bytes: &'t [u8],
    start: usize,
    /// Number of events that are left at most.
    left: usize,
}

impl<'t> Events<'t> {
    /// The events of one of the texts that are carried inside the program.
    pub(super) fn of(text: &'t str) -> Option<Events<'t>> {
        let (_, bytes) = crate::bundled::EVENTS.iter().find(|(known, _)| *known == text)?;
        let mut events = Events { text, bytes, start: 0, left: 0 };
        events.left = events.number()?;
        Some(events)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// A number in LEB128.
    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                return Some(number);
            }
        }
    }

    fn own_text(&mut self) -> Option<&'t str> {
        let length = self.number()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        from_utf8(text).ok()
    }
}

impl<'t> Iterator for Events<'t> {
    type Item = (Event<'t>, Span);

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        let kind = self.byte()?;
        self.left = self.left.checked_sub(1)?;
        self.start += self.number()?;
        let (start, end) = (self.start, self.start + self.number()?);
        let scalar = |text: &'t str, style| Event::Scalar(Cow::Borrowed(text), style, 0, None);
        let event = match kind {
            b'p' => scalar(self.text.get(start..end)?, ScalarStyle::Plain),
            b'q' => {
                scalar(self.text.get(start + 1..end.checked_sub(1)?)?, ScalarStyle::DoubleQuoted)
            }
            b'P' => scalar(self.own_text()?, ScalarStyle::Plain),
            b'Q' => scalar(self.own_text()?, ScalarStyle::DoubleQuoted),
            b'[' => Event::SequenceStart(StructureStyle::Block, 0, None),
            b'{' => Event::MappingStart(StructureStyle::Block, 0, None),
            _ => Event::MappingEnd,
        };
        let marker = |at| Marker::new(at, 0, 0).with_byte_offset(Some(at));
        Some((event, Span::new(marker(start), marker(end))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
