//! A Merkle tree written straight from the recursive definitions of RFC 6962, to hold the fast code against.

use crate::hash::{EMPTY_ROOT, Hash, node_hash};

fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// MTH(D[n]).
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D[n]).
pub fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) =
        if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
    proof.push(sibling);
    proof
}

/// PROOF(m, D[n]); `known` is SUBPROOF's third argument.
pub fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if m <= k {
        (subproof(m, left, known), root(right))
    } else {
        (subproof(m - k, right, false), root(left))
    };
    proof.push(sibling);
    proof
}
