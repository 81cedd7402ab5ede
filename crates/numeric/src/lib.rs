//! L0: statistics, small linear algebra and seeded randomness, each function with its source.
