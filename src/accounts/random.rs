//! Values that no other run uses: localparts, passwords, device ids.
use crate::model::user_id::FRESH;

/// A made-up value: always with a capital and a small letter where the kind allows both, so that a server that folds
/// one into the other shows in every run.
pub fn generate(member: &str) -> String {
    let kind = member.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    match kind {
        "device_id" => format!("Hs{}", random_text(8, MIXED)),
        "localpart" => format!("{FRESH}{}", random_text(10, LOWER)),
        "password" => format!("Pw.{}", random_text(20, MIXED)),
        "token" => format!("hsUnknown_{}", random_text(32, MIXED)),
        "unicode" => format!("Grüße 你好 𐍈 {}", random_text(6, MIXED)),
        _ => format!("Homespec {}", random_text(8, MIXED)),
    }
}

const MIXED: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";

/// So many characters of an alphabet, from the system's random source.
pub fn random_text(length: usize, alphabet: &[u8]) -> String {
    let mut bytes = vec![0; length];
    if getrandom::fill(&mut bytes).is_err() {
        // Without a random source uniqueness within the run is all that can be had.
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_le_bytes();
        for (byte, part) in bytes.iter_mut().zip(count.iter().cycle()) {
            *byte = *part;
        }
    }
    bytes
        .iter()
        .map(|byte| {
            char::from(alphabet.get(usize::from(*byte) % alphabet.len()).copied().unwrap_or(b'x'))
        })
        .collect()
}

/// A localpart that no other run uses.
pub fn fresh_localpart() -> String {
    generate("localpart")
}

/// A password that no other run uses.
pub fn fresh_password() -> String {
    generate("password")
}
