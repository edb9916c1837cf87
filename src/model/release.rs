//! Releases of the specification: [`SpecVersion`], a [`VersionRange`] of them, and [`Listed`], what
//! a homeserver says it supports.
//!
//! The Client-Server API was versioned by itself as `rX.Y.Z` until r0.6.1, and is part of one
//! Matrix-wide release `vX.Y` since v1.1; every `v` release is newer than every `r` release.
//! (specification index, "Specification Versions" and "Legacy versioning")
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A release of the specification, ordered by age: the oldest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecVersion {
    /// `rX.Y.Z`, of the Client-Server API alone.
    R(u32, u32, u32),
    /// `vX.Y`, of Matrix as a whole.
    V(u32, u32),
}

impl SpecVersion {
    /// The newest release that this program was written against.
    pub const NEWEST: SpecVersion = SpecVersion::V(1, 19);

    /// Reads `rX.Y.Z` or `vX.Y`; none for anything else.
    ///
    /// Only the canonical spelling counts (no leading zeros, no space). Metadata after a hyphen
    /// (`v1.1-alpha`) is anything else on purpose: it names a pre-release whose rules nobody knows.
    pub fn parse(text: &str) -> Option<SpecVersion> {
        let (kind, numbers) = text.split_at_checked(1)?;
        let mut numbers = numbers.split('.').map(number);
        let mut next = || numbers.next().flatten();
        let version = match kind {
            "r" => SpecVersion::R(next()?, next()?, next()?),
            "v" => SpecVersion::V(next()?, next()?),
            _ => return None,
        };
        numbers.next().is_none().then_some(version)
    }

    /// Whether it is a release of the Client-Server API alone, before there was v1.1.
    pub fn is_r(self) -> bool {
        matches!(self, SpecVersion::R(..))
    }
}

/// A number in its only spelling: ASCII digits without leading zeros.
fn number(digits: &str) -> Option<u32> {
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecVersion::R(x, y, z) => f.pad(&format!("r{x}.{y}.{z}")),
            SpecVersion::V(x, y) => f.pad(&format!("v{x}.{y}")),
        }
    }
}

impl Serialize for SpecVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpecVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SpecVersion, D::Error> {
        let text = String::deserialize(deserializer)?;
        SpecVersion::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is not a release; examples: v1.19, r0.6.1"))
        })
    }
}

/// Releases from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The first one.
    pub since: SpecVersion,
    /// The last one; none where it goes on.
    pub until: Option<SpecVersion>,
}

impl VersionRange {
    /// From one release on.
    #[cfg(test)]
    pub fn since(since: SpecVersion) -> VersionRange {
        VersionRange { since, until: None }
    }

    /// Whether a release lies in it.
    pub fn contains(&self, version: SpecVersion) -> bool {
        version >= self.since && self.until.is_none_or(|until| version <= until)
    }
}

impl fmt::Display for VersionRange {
    /// `r0.4.0 and later`, or `r0.0.0 to v1.19`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            None => write!(f, "{} and later", self.since),
            Some(until) => write!(f, "{} to {until}", self.since),
        }
    }
}

/// What stands in for a list in which nothing can be read.
const ASSUMED: [SpecVersion; 1] = [SpecVersion::NEWEST];

/// The releases that a homeserver lists in its answer to `GET /_matrix/client/versions`.
///
/// Where nothing in the list can be read (it is empty, broken, or holds unknown words only) the
/// server is held to [`SpecVersion::NEWEST`], because rules decided by the list must not be escaped
/// by a broken one: every rule that still stands is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    all: Vec<String>,
    /// Oldest first, each once.
    parsed: Vec<SpecVersion>,
}

impl Listed {
    /// Takes the entries as the server lists them, in whatever order.
    pub fn new<S: Into<String>>(entries: impl IntoIterator<Item = S>) -> Listed {
        let all: Vec<String> = entries.into_iter().map(Into::into).collect();
        let mut parsed: Vec<SpecVersion> =
            all.iter().filter_map(|entry| SpecVersion::parse(entry)).collect();
        parsed.sort_unstable();
        parsed.dedup();
        Listed { all, parsed }
    }

    /// Every entry as the server lists it, those that cannot be read included.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// The releases among the entries, oldest first, each once; never empty, see
    /// [`Listed`].
    pub fn releases(&self) -> &[SpecVersion] {
        match self.parsed.is_empty() {
            true => &ASSUMED,
            false => &self.parsed,
        }
    }

    /// The newest release.
    pub fn newest(&self) -> SpecVersion {
        self.releases().last().copied().unwrap_or(SpecVersion::NEWEST)
    }

    /// Whether this release or a later one is listed.
    pub fn has_at_least(&self, version: SpecVersion) -> bool {
        self.newest() >= version
    }

    /// Whether nothing but releases `rX.Y.Z` is listed.
    pub fn only_r0(&self) -> bool {
        self.newest().is_r()
    }

    /// Whether any release of the range is listed. A server that lists one has to keep to its
    /// rules, whatever else it lists. (specification index, "Deprecation policy")
    pub fn in_range(&self, range: &VersionRange) -> bool {
        self.releases().iter().any(|version| range.contains(*version))
    }

    /// Whether no release outside of the range is listed.
    pub fn only_in_range(&self, range: &VersionRange) -> bool {
        self.releases().iter().all(|version| range.contains(*version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SpecVersion::{R, V};
    use proptest::prelude::*;

    fn any_version() -> impl Strategy<Value = SpecVersion> {
        prop_oneof![
            (0..3u32, 0..12u32, 0..12u32).prop_map(|(x, y, z)| R(x, y, z)),
            (0..3u32, 0..30u32).prop_map(|(x, y)| V(x, y)),
        ]
    }

    fn listed(entries: &[&str]) -> Listed {
        Listed::new(entries.iter().copied())
    }

    #[test]
    fn releases_are_read() {
        assert_eq!(SpecVersion::parse("r0.6.1"), Some(R(0, 6, 1)));
        assert_eq!(SpecVersion::parse("v1.10"), Some(V(1, 10)));
    }

    #[test]
    fn anything_else_is_no_release() {
        let others = [
            "",
            "v",
            "r",
            "v1",
            "v1.",
            "v1.2.3",
            "r0.6",
            "r0.6.1.0",
            "1.2",
            "V1.2",
            "v1.02",
            "v01.2",
            "v1.2-alpha",
            " v1.2",
            "v1.2 ",
            "v-1.2",
            "v+1.2",
            "v1.99999999999",
            "unstable",
            "ü1.2",
            "v1.٣",
        ];
        for other in others {
            assert_eq!(SpecVersion::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_r_comes_before_v() {
        assert!(V(1, 10) > V(1, 9));
        assert!(R(0, 6, 1) < V(1, 1));
        assert!(R(9, 9, 9) < V(0, 0));
        assert!(R(0, 6, 0) < R(0, 6, 1));
    }

    #[test]
    fn an_unknown_word_in_a_file_is_refused_with_the_word() {
        let refused = serde_json::from_str::<SpecVersion>("\"v1\"").map_err(|e| e.to_string());
        assert_eq!(refused, Err("`v1` is not a release; examples: v1.19, r0.6.1".to_owned()));
    }

    #[test]
    fn a_list_keeps_all_entries_and_sorts_what_it_can_read() {
        let listed = listed(&["v1.10", "org.example", "v1.9", "r0.6.1", "v1.9"]);
        assert_eq!(listed.all().len(), 5);
        assert_eq!(listed.releases(), [R(0, 6, 1), V(1, 9), V(1, 10)]);
        assert_eq!((listed.releases()[0], listed.newest()), (R(0, 6, 1), V(1, 10)));
        assert!(!listed.parsed.is_empty() && !listed.only_r0());
    }

    #[test]
    fn a_list_in_which_nothing_can_be_read_is_held_to_the_newest_release() {
        for listed in [listed(&[]), listed(&["latest", "v1.1-alpha"])] {
            assert!(listed.parsed.is_empty() && !listed.only_r0());
            assert_eq!(listed.releases(), [SpecVersion::NEWEST]);
            assert!(listed.has_at_least(V(1, 19)) && !listed.has_at_least(V(1, 20)));
        }
    }

    #[test]
    fn a_range_asks_for_a_listed_release_inside_of_it() {
        let range = VersionRange { since: V(1, 2), until: Some(V(1, 5)) };
        assert!(listed(&["r0.6.1", "v1.5", "v1.9"]).in_range(&range));
        assert!(!listed(&["r0.6.1", "v1.9"]).in_range(&range), "only around it");
        assert!(!listed(&["v1.5", "v1.9"]).only_in_range(&range));
        assert!(listed(&["v1.2", "v1.5"]).only_in_range(&range));
        assert_eq!(range.to_string(), "v1.2 to v1.5");
        assert_eq!(VersionRange::since(R(0, 4, 0)).to_string(), "r0.4.0 and later");
    }

    #[test]
    fn only_r_releases_are_told_apart() {
        assert!(listed(&["r0.0.1", "r0.6.1"]).only_r0());
        assert!(!listed(&["r0.6.1", "v1.1"]).only_r0());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(version in any_version()) {
            prop_assert_eq!(SpecVersion::parse(&version.to_string()), Some(version));
        }

        #[test]
        fn reading_never_panics_and_is_canonical(text in "\\PC*") {
            if let Some(version) = SpecVersion::parse(&text) {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn the_order_of_a_list_does_not_matter(
            versions in prop::collection::vec(any_version(), 0..8),
            since in any_version(),
        ) {
            let forth = Listed::new(versions.iter().map(SpecVersion::to_string));
            let back = Listed::new(versions.iter().rev().map(SpecVersion::to_string));
            prop_assert_eq!(forth.releases(), back.releases());
            prop_assert_eq!(forth.has_at_least(since), forth.in_range(&VersionRange::since(since)));
            prop_assert!(forth.releases()[0] <= forth.newest());
        }

        #[test]
        fn a_further_release_takes_no_rule_away(
            versions in prop::collection::vec(any_version(), 1..8),
            more in any_version(),
            since in any_version(),
            until in proptest::option::of(any_version()),
        ) {
            let range = VersionRange { since, until };
            let fewer = Listed::new(versions.iter().map(SpecVersion::to_string));
            let all = versions.iter().chain([&more]).map(SpecVersion::to_string);
            prop_assert!(!fewer.in_range(&range) || Listed::new(all).in_range(&range));
        }
    }
}
