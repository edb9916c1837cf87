//! Forms in which a text may be written: as a path segment, as JSON escapes. Pure.

/// One path segment, percent-encoded but for the unreserved characters (RFC 3986, section 2.3).
pub fn encode_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Every character as a JSON escape, without the quotes around the string (RFC 8259, section 7).
pub fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay_in_a_segment() {
        assert_eq!(encode_segment("aZ0-._~"), "aZ0-._~");
        assert_eq!(encode_segment("@ä/b:c"), "%40%C3%A4%2Fb%3Ac");
    }

    #[test]
    fn escapes_read_back_as_what_they_stand_for() {
        for text in ["Secret1", "\"\\/", "ä 🦀"] {
            let read: String = serde_json::from_str(&format!("\"{}\"", escaped(text))).unwrap();
            assert_eq!(read, text);
        }
    }
}
