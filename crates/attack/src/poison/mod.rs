//! Poisoning and backdoors: what a few bad training rows do.
