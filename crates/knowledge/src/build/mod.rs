//! Builders of graphs from the layouts that terminologies are published in.
