//! Releases of the specification, and what a list of them obliges a homeserver to serve.

/// One release as `GET /versions` names it. Every `r0` release precedes every `v1` one, so the derived order is the
/// order of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    /// `r0.Y.Z`, before the specification was numbered as a whole.
    R0(u16, u16),
    /// `vX.Y`.
    V(u16, u16),
}

/// The release `r0.Y.0`.
pub(super) const fn r0(minor: u16) -> Release {
    Release::R0(minor, 0)
}

/// The release `v1.Y`.
pub(super) const fn v1(minor: u16) -> Release {
    Release::V(1, minor)
}

/// Releases a homeserver with the default settings lists: all that were published up to v1.19, of one `r0.Y` only the
/// newest patch.
pub(super) const PUBLISHED: [&str; 26] = [
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.1", "v1.1", "v1.2", "v1.3",
    "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13", "v1.14",
    "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

impl Release {
    /// Reads `rX.Y.Z` (X is 0) or `vX.Y`; anything else is `None`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers = |rest: &str| {
            rest.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u16>>>()
        };
        let (family, rest) = text.split_at_checked(1)?;
        match (family, numbers(rest)?.as_slice()) {
            ("r", &[0, minor, patch]) => Some(Self::R0(minor, patch)),
            ("v", &[major, minor]) => Some(Self::V(major, minor)),
            _ => None,
        }
    }
}

/// The releases that a homeserver lists, in ascending order.
#[derive(Debug, Clone)]
pub(super) struct Listed(Vec<Release>);

impl Listed {
    /// Reads a list; the error is the first entry that is no release.
    pub(super) fn parse(list: &[String]) -> Result<Self, String> {
        let mut releases = list
            .iter()
            .map(|text| Release::parse(text).ok_or_else(|| text.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        releases.sort_unstable();
        Ok(Self(releases))
    }

    /// Whether the feature that came with `since` is served: some listed release has it.
    pub(super) fn since(&self, since: Release) -> bool {
        self.0.last().is_some_and(|newest| *newest >= since)
    }

    /// Whether a release before `end` is listed, so that what `end` removed is still owed.
    pub(super) fn before(&self, end: Release) -> bool {
        self.0.first().is_some_and(|oldest| *oldest < end)
    }

    /// Whether the paths below `/_matrix/client/r0` are owed.
    pub(super) fn r0_paths(&self) -> bool {
        self.before(v1(0))
    }

    /// Whether the paths below `/_matrix/client/v3` and `/v1` are owed.
    pub(super) fn v3_paths(&self) -> bool {
        self.since(v1(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_publication() {
        let all = PUBLISHED.map(|text| Release::parse(text).unwrap());
        assert!(all.is_sorted());
        assert_eq!(Release::parse("v1.10"), Some(v1(10)));
        for wrong in ["", "1.1", "v1", "r1.0.0", "v1.1.1", "va.b", "é"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_list_says_what_is_owed() {
        let old = Listed::parse(&["r0.5.0".into()]).unwrap();
        assert!(old.since(r0(4)) && !old.since(v1(1)) && old.r0_paths() && !old.v3_paths());
        let new = Listed::parse(&["v1.20".into()]).unwrap();
        assert!(!new.before(v1(20)) && !new.r0_paths() && new.v3_paths());
        assert_eq!(Listed::parse(&["v1.1".into(), "v1.x".into()]).unwrap_err(), "v1.x");
    }
}
