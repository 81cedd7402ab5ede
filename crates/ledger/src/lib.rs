//! L1: the append-only Merkle log: RFC 6962 hashing, C2SP tiles, signed checkpoints, proofs. Pure, no I/O.
