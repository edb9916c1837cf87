//! Values that no other run uses: localparts, passwords, device ids.
use crate::model::reason::Reason;
use crate::model::user_id::FRESH;

/// The system gives no random numbers, without which no value would be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers")]
#[allow(unnameable_types)] // By way of a `From`.
pub struct NoRandomSource;

impl From<NoRandomSource> for Reason {
    fn from(_: NoRandomSource) -> Reason {
        Reason::NoRandomSource
    }
}

/// A made-up value: always with a capital and a small letter where the kind allows both, so that a server that folds
/// one into the other shows in every run.
pub fn generate(member: &str) -> Result<String, NoRandomSource> {
    let kind = member.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    Ok(match kind {
        "device_id" => format!("Hs{}", random_text(8, MIXED)?),
        "localpart" => format!("{FRESH}{}", random_text(10, LOWER)?),
        "password" => format!("Pw.{}", random_text(20, MIXED)?),
        "token" => format!("hsUnknown_{}", random_text(32, MIXED)?),
        "unicode" => format!("Grüße 你好 𐍈 {}", random_text(6, MIXED)?),
        _ => format!("Homespec {}", random_text(8, MIXED)?),
    })
}

const MIXED: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";

fn random_text(length: usize, alphabet: &[u8]) -> Result<String, NoRandomSource> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomSource)?;
    let character = |byte: u8| alphabet.get(usize::from(byte) % alphabet.len());
    Ok(bytes.into_iter().filter_map(character).copied().map(char::from).collect())
}
