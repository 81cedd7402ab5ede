//! L0: the vocabulary every other crate speaks: digests, systems, controls, evidence, findings, outcomes.
