//! Paths as homeservers read them that undo percent-encoding otherwise than segment by segment.

use super::policy::PathDecoding;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A path as a homeserver reads it that does not undo percent-encoding segment by segment.
pub(super) fn misread(policy: PathDecoding, path: &str) -> Option<Cow<'_, str>> {
    match policy {
        PathDecoding::ById => Some(Cow::Borrowed(path)),
        PathDecoding::WholePath => Some(Cow::Owned(path.replace("%2F", "/").replace("%2f", "/"))),
        PathDecoding::Never => Some(Cow::Owned(path.replace('%', "%25"))),
        PathDecoding::Twice => percent_decode_str(path).decode_utf8().ok().map(|decoded| {
            // What separates segments must not come of it.
            let encoded = path.contains("%2F") || path.contains("%2f");
            if encoded { Cow::Borrowed(path) } else { decoded }
        }),
        PathDecoding::PlusIsBlank => Some(Cow::Owned(path.replace('+', "%20"))),
        PathDecoding::Latin1 => Some(Cow::Owned(latin1(path))),
    }
}

/// Bytes beyond ASCII, read as letters of Latin-1.
fn latin1(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|byte| !byte.is_ascii()) {
            Some(byte) => {
                let letter = char::from(byte).to_string();
                out.extend(letter.bytes().map(|byte| format!("%{byte:02X}")));
                out.push_str(piece.get(2..).unwrap_or_default());
            }
            None => {
                out.push('%');
                out.push_str(piece);
            }
        }
    }
    out
}
