//! Which servers an entry is about: a name, and a range of versions.
use std::cmp::Ordering;

/// Servers by name and version, as their `Server` header tells them: `Synapse >=1.150, <1.170`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ServerRange {
    /// The name, without regard to case; any, if not given.
    pub name: Option<String>,
    /// All of them hold.
    bounds: Vec<VersionBound>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct VersionBound {
    relation: Relation,
    version: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
}

/// The longer ones first: `>` begins `>=` too.
const RELATIONS: [(&str, Relation); 5] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    ("<", Relation::Below),
    ("=", Relation::Equal),
];

/// Error in a text that should be a range of servers, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The sentences say it.
pub enum ServerRangeError {
    #[error("`{0}` is not a valid server name")]
    Name(String),
    #[error("`{0}` is not a valid bound; examples: >=1.150, <2")]
    Bound(String),
    #[error("no version matches: its bounds exclude each other")]
    Empty,
}

impl ServerRange {
    /// Reads `NAME`, `NAME >=1.150, <1.170` or `>=1.150`.
    pub fn parse(text: &str) -> Result<ServerRange, ServerRangeError> {
        let start = text.find(['<', '>', '=']).unwrap_or(text.len());
        let (name, bounds) = text.split_at(start);
        let name = name.trim();
        if name.contains(char::is_whitespace) || name.contains(['/', ',']) {
            return Err(ServerRangeError::Name(name.to_owned()));
        }
        let bounds = match bounds.trim() {
            "" => Vec::new(),
            bounds => bounds.split(',').map(bound).collect::<Result<_, _>>()?,
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        let range = ServerRange { name, bounds };
        match range.is_empty() {
            true => Err(ServerRangeError::Empty),
            false => Ok(range),
        }
    }

    /// Returns true if a server with this `Server` header is in the range; false if it gives no
    /// version.
    pub fn contains(&self, server: Option<&str>) -> bool {
        let Some((name, version)) = server.map(name_and_version) else { return false };
        let named = self.name.as_ref().is_none_or(|mine| mine.eq_ignore_ascii_case(name));
        let version = version.and_then(leading_version);
        named
            && match version {
                Some(version) => self.bounds.iter().all(|bound| bound.holds(&version)),
                None => self.bounds.is_empty(),
            }
    }

    /// Returns true if no version fits all bounds; versions are dense enough between any two for
    /// this.
    fn is_empty(&self) -> bool {
        let lower = self.bounds.iter().filter(|b| b.relation.is_lower());
        lower.into_iter().any(|low| {
            let upper = self.bounds.iter().filter(|b| b.relation.is_upper());
            upper.into_iter().any(|high| match compare(&low.version, &high.version) {
                Ordering::Greater => true,
                Ordering::Equal => {
                    low.relation == Relation::Above || high.relation == Relation::Below
                }
                Ordering::Less => false,
            })
        })
    }
}

impl Relation {
    fn is_lower(self) -> bool {
        matches!(self, Relation::AtLeast | Relation::Above | Relation::Equal)
    }

    fn is_upper(self) -> bool {
        matches!(self, Relation::AtMost | Relation::Below | Relation::Equal)
    }
}

impl VersionBound {
    fn holds(&self, version: &[u64]) -> bool {
        let order = compare(version, &self.version);
        match self.relation {
            Relation::AtLeast => order != Ordering::Less,
            Relation::AtMost => order != Ordering::Greater,
            Relation::Above => order == Ordering::Greater,
            Relation::Below => order == Ordering::Less,
            Relation::Equal => order == Ordering::Equal,
        }
    }
}

fn bound(text: &str) -> Result<VersionBound, ServerRangeError> {
    let text = text.trim();
    let refused = || ServerRangeError::Bound(text.to_owned());
    let found =
        RELATIONS.iter().find_map(|(sign, relation)| Some((text.strip_prefix(sign)?, *relation)));
    let (version, relation) = found.ok_or_else(refused)?;
    let version = version.trim();
    let is_version = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let version = Some(version).filter(|_| is_version).and_then(leading_version);
    Ok(VersionBound { relation, version: version.ok_or_else(refused)? })
}

/// `Synapse/1.163.2 (something)` taken apart; further products are left out.
fn name_and_version(server: &str) -> (&str, Option<&str>) {
    let first = server.split_whitespace().next().unwrap_or_default();
    match first.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (first, None),
    }
}

/// The numbers at the start of a version, without a `v` before them: what follows (`rc1`, `+abc`) does not
/// count, so that a candidate is as its release.
fn leading_version(text: &str) -> Option<Vec<u64>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let numbers = text.get(..end)?.trim_end_matches('.');
    numbers.split('.').map(|number| number.parse().ok()).collect()
}

/// By number; what is missing at an end is zero.
fn compare(one: &[u64], other: &[u64]) -> Ordering {
    let at = |version: &[u64], index: usize| version.get(index).copied().unwrap_or(0);
    (0..one.len().max(other.len()))
        .map(|index| at(one, index).cmp(&at(other, index)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_in_a_range_by_name_and_number() {
        let cases = [
            ("Synapse >=1.150, <1.170", "Synapse/1.163.2", true),
            ("synapse >=1.150,<1.170", "Synapse/1.170.0rc1", false),
            ("Synapse", "Synapse/1.9", true),
            ("Synapse", "Synapse", true),
            ("Synapse >=1", "Synapse", false),
            ("Dendrite", "Synapse/1.9", false),
            (">1.9", "anything/1.10", true),
            ("=1.10", "anything/v1.10.0+abc", true),
            ("<=2", "conduit/2.0.1 more/1", false),
        ];
        for (range, server, expected) in cases {
            let range = ServerRange::parse(range).unwrap();
            assert_eq!(range.contains(Some(server)), expected, "{range:?} {server}");
            assert!(!range.contains(None));
        }
    }

    #[test]
    fn ranges_that_cannot_be_meant_are_refused() {
        for text in [
            "1.2 - 1.3",
            ">=",
            "Synapse 1.2",
            ">=1.x",
            ">=2, <1",
            ">1,<1",
            "Synapse/1.2",
            "=1,=2",
            ">=1,,<2",
        ] {
            assert!(ServerRange::parse(text).is_err(), "{text}");
        }
    }
}
