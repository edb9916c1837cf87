//! Many texts, of which the ones that begin at a place of another text are found at once. Plain data:
//! there is nothing in it that could fail to be built.
use super::{Hidden, SHORTEST};

/// A text to be found.
pub(super) struct Needle {
    /// The text; never shorter than [`FEWEST`] bytes.
    pub text: Hidden,
    /// The number of the secret that it stands for.
    pub secret: usize,
}

/// The fewest bytes of a needle.
pub(super) const FEWEST: usize = SHORTEST - 1;

/// Needles in the order of their bytes.
pub(super) struct Needles {
    sorted: Vec<Needle>,
    /// For each the longest other one that it begins with.
    parents: Vec<Option<usize>>,
    beginnings: Beginnings,
}

/// What of the needles begins at a place.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    /// The longest needle that stands there whole: its length and its secret.
    pub whole: Option<(usize, usize)>,
    /// How much of the needle stands there that has most in common with the place, and its secret;
    /// nothing, if that is all of it.
    pub part: Option<(usize, usize)>,
}

impl Needles {
    /// Of needles with the same text the first counts; those that are too short are left.
    pub fn new(needles: Vec<Needle>) -> Needles {
        let mut sorted = needles;
        sorted.retain(|needle| needle.text.as_str().len() >= FEWEST);
        sorted.sort_by(|a, b| a.text.as_str().cmp(b.text.as_str()));
        sorted.dedup_by(|later, first| later.text == first.text);
        let mut beginnings = Beginnings::default();
        sorted.iter().for_each(|needle| beginnings.insert(needle.text.as_str().as_bytes()));
        let parents = parents(&sorted);
        Needles { sorted, parents, beginnings }
    }

    /// What begins with the first byte of `text`.
    pub fn begun(&self, text: &[u8]) -> Begun {
        if !self.beginnings.has(text) {
            return Begun::default();
        }
        let (at, before, after) = self.place(text);
        let whole = self.chain(at.checked_sub(1)).find(|(length, _)| *length <= before);
        let most = if before >= after { at.checked_sub(1) } else { Some(at) };
        let part =
            self.chain(most).next().map(|(length, secret)| (length, before.max(after), secret));
        let part = part.filter(|(length, common, _)| common < length);
        Begun { whole, part: part.map(|(_, common, secret)| (common, secret)) }
    }

    /// A needle and those that it begins with, the longest first: their lengths and secrets.
    fn chain(&self, from: Option<usize>) -> impl Iterator<Item = (usize, usize)> {
        let parent = |at: &usize| self.parents.get(*at).copied().flatten();
        std::iter::successors(from, parent)
            .filter_map(|at| self.sorted.get(at))
            .map(|needle| (needle.text.as_str().len(), needle.secret))
    }

    /// How many needles are not greater than the text, and how many bytes the last of these and the
    /// one behind it have in common with it. What is known to be common is not compared again, so
    /// that needles which begin alike take no longer.
    fn place(&self, text: &[u8]) -> (usize, usize, usize) {
        let (mut low, mut high) = (0, self.sorted.len());
        let (mut before, mut after) = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(needle) = self.sorted.get(middle) else { break };
            let needle = needle.text.as_str().as_bytes();
            let common = common(needle, text, before.min(after));
            let is_greater = match (needle.get(common), text.get(common)) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(a), Some(b)) => a > b,
            };
            if is_greater {
                (high, after) = (middle, common);
            } else {
                (low, before) = (middle + 1, common);
            }
        }
        (low, before, after)
    }
}

/// How many bytes two texts begin with alike, of which so many are known.
fn common(one: &[u8], other: &[u8], known: usize) -> usize {
    const STEP: usize = 32;
    let mut same = known;
    while let (Some(a), Some(b)) = (one.get(same..same + STEP), other.get(same..same + STEP))
        && a == b
    {
        same += STEP;
    }
    let (one, other) = (one.get(same..), other.get(same..));
    let pairs = one.unwrap_or_default().iter().zip(other.unwrap_or_default());
    same + pairs.take_while(|(a, b)| a == b).count()
}

fn parents(sorted: &[Needle]) -> Vec<Option<usize>> {
    let mut open: Vec<usize> = Vec::new();
    let mut parents = Vec::with_capacity(sorted.len());
    for (at, needle) in sorted.iter().enumerate() {
        let begins = |other: &usize| {
            sorted.get(*other).is_some_and(|o| needle.text.as_str().starts_with(o.text.as_str()))
        };
        while open.last().is_some_and(|last| !begins(last)) {
            open.pop();
        }
        parents.push(open.last().copied());
        open.push(at);
    }
    parents
}

/// A bit for what three bytes come to: most places of a text begin with none of the needles.
struct Beginnings(Vec<u64>);

impl Default for Beginnings {
    fn default() -> Beginnings {
        Beginnings(vec![0; 1 << (Beginnings::BITS - 6)])
    }
}

impl Beginnings {
    const BITS: u32 = 20;

    fn insert(&mut self, text: &[u8]) {
        if let Some((word, bit)) = Beginnings::place(text)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    fn has(&self, text: &[u8]) -> bool {
        Beginnings::place(text)
            .is_some_and(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    /// The word and the bit in it.
    fn place(text: &[u8]) -> Option<(usize, u64)> {
        let [a, b, c, ..] = text else { return None };
        let three = u32::from_le_bytes([*a, *b, *c, 0]);
        // Multiplying spreads the bytes over the upper bits.
        let hash = three.wrapping_mul(0x9e37_79b1) >> (32 - Beginnings::BITS);
        Some((usize::try_from(hash >> 6).ok()?, 1 << (hash & 63)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needles(texts: &[&str]) -> Needles {
        let one = |(secret, text): (usize, &&str)| Needle { text: Hidden::new(text), secret };
        Needles::new(texts.iter().enumerate().map(one).collect())
    }

    #[test]
    fn the_longest_that_stands_there_is_found() {
        let all = needles(&["abc", "abcdef", "abcdxyz", "zzz"]);
        assert_eq!(all.begun(b"abcdefgh").whole, Some((6, 1)));
        assert_eq!(all.begun(b"abcde").whole, Some((3, 0)));
        assert_eq!(all.begun(b"abcde").part, Some((5, 1)));
        assert_eq!(all.begun(b"abcdxy\xff").part, Some((6, 2)));
        assert_eq!(all.begun(b"abcdxy\xff").whole, Some((3, 0)));
        assert_eq!(all.begun(b"ab"), Begun::default());
    }

    proptest! {
        #[test]
        fn nothing_is_missed(
            texts in prop::collection::vec("[ab]{3,9}", 1..12), text in "[abc]{0,12}",
        ) {
            let all: Vec<&str> = texts.iter().map(String::as_str).collect();
            let begun = needles(&all).begun(text.as_bytes());
            let longest = texts.iter().filter(|one| text.starts_with(*one)).map(String::len).max();
            prop_assert_eq!(begun.whole.map(|(length, _)| length), longest);
            let in_common =
                |one: &String| one.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            let most = texts.iter().map(in_common).max().unwrap_or(0);
            if let Some((common, secret)) = begun.part {
                prop_assert_eq!(common, most);
                prop_assert_eq!(in_common(&texts[secret]), common);
            } else if most >= FEWEST {
                // All that have most in common stand there whole, or one of them is the first found.
                prop_assert!(texts.iter().any(|one| in_common(one) == most && one.len() == most));
            }
        }
    }
}
