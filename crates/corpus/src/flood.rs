//! The same claim in many near copies: how poison is spread, since one document moves no model.

use std::collections::HashMap;

use crate::likeness::Likeness;

/// Near copies with one claim from which on they are a flood. Four: press texts and abstracts stand in a corpus twice or three times.
const FLOOD_MIN: usize = 4;
/// Bits that near copies differ in at most: with four bands of sixteen, three differing bits are always found, up to eight mostly.
const DISTANCE_MAX: u32 = 8;
/// Documents with claims that are remembered; 40 bytes each.
const REMEMBERED_MAX: usize = 16 << 20;

/// Collects the claims of all documents.
#[derive(Debug, Default)]
pub struct Floods {
    /// Claim, document, likeness.
    seen: Vec<(u64, u64, Likeness)>,
    lost: usize,
}

/// Documents that make one claim in near copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Key of the claim.
    pub claim: u64,
    /// Numbers of the documents, ascending.
    pub documents: Vec<u64>,
}

impl Floods {
    /// Remembers the claims of document `number`.
    pub fn add(&mut self, number: u64, claims: &[u64], likeness: Likeness) {
        for claim in claims {
            if self.seen.len() < REMEMBERED_MAX {
                self.seen.push((*claim, number, likeness));
            } else {
                self.lost += 1;
            }
        }
    }

    /// Claims that found no room any more; with any, floods may be missed.
    pub const fn lost(&self) -> usize {
        self.lost
    }

    /// Every flood: near copies joined over their likeness, claim by claim.
    pub fn find(mut self) -> Vec<Flood> {
        self.seen.sort_unstable_by_key(|(claim, number, _)| (*claim, *number));
        let mut out = Vec::new();
        for group in self.seen.chunk_by(|a, b| a.0 == b.0) {
            let Some(claim) = group.first().map(|g| g.0).filter(|_| group.len() >= FLOOD_MIN) else {
                continue;
            };
            let likes: Vec<Likeness> = group.iter().map(|g| g.2).collect();
            let mut joined: HashMap<usize, Vec<u64>> = HashMap::new();
            for (at, root) in clusters(&likes).into_iter().enumerate() {
                if let Some(member) = group.get(at) {
                    joined.entry(root).or_default().push(member.1);
                }
            }
            let floods = joined.into_values().filter(|d| d.len() >= FLOOD_MIN);
            out.extend(floods.map(|documents| Flood { claim, documents }));
        }
        out.sort_by(|a, b| (a.claim, &a.documents).cmp(&(b.claim, &b.documents)));
        out
    }
}

/// For each the first of its cluster: two belong together when they share a band of sixteen bits and differ in few.
fn clusters(likes: &[Likeness]) -> Vec<usize> {
    let mut root: Vec<usize> = (0..likes.len()).collect();
    for band in 0..4 {
        let mut first: HashMap<u64, usize> = HashMap::new();
        for (at, like) in likes.iter().enumerate() {
            let bits = like.0 >> (band * 16) & 0xffff;
            let with = *first.entry(bits).or_insert(at);
            if likes.get(with).is_some_and(|o| o.distance(*like) <= DISTANCE_MAX) {
                let (a, b) = (top(&mut root, with), top(&mut root, at));
                let (low, high) = (a.min(b), a.max(b));
                if let Some(place) = root.get_mut(high) {
                    *place = low;
                }
            } else {
                // The next one of this band is compared with the newer document.
                first.insert(bits, at);
            }
        }
    }
    (0..likes.len()).map(|at| top(&mut root, at)).collect()
}

fn top(root: &mut [usize], mut at: usize) -> usize {
    while let Some(up) = root.get(at).copied().filter(|up| *up != at) {
        // Halves the way for the next who goes it.
        if let Some(beyond) = root.get(up).copied() {
            root[at] = beyond;
        }
        at = up;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likeness::likeness;

    #[test]
    fn four_near_copies_with_one_claim_are_a_flood_and_three_or_strangers_are_not() {
        let copy = |n: usize| {
            let words: Vec<String> =
                (0..120).map(|w| if w == n { format!("x{n}") } else { format!("w{}", w % 47) }).collect();
            likeness(&words.join(" "))
        };
        let strange =
            |n: usize| likeness(&(0..120).map(|w| format!("v{} ", (w * (n + 3)) % 91)).collect::<String>());
        let mut floods = Floods::default();
        for n in 0..4 {
            floods.add(n, &[7], copy(usize::try_from(n).unwrap()));
        }
        for n in 4..7 {
            floods.add(n, &[8], copy(usize::try_from(n).unwrap()));
        }
        for n in 7..20 {
            floods.add(n, &[9], strange(usize::try_from(n).unwrap()));
        }
        assert_eq!(floods.lost(), 0);
        assert_eq!(floods.find(), [Flood { claim: 7, documents: vec![0, 1, 2, 3] }]);
    }
}
