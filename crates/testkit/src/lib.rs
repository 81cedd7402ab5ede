//! dev: fixtures, fake upstreams, attack query streams for measurements.
