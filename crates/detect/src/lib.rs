//! L2: the guards: pure detectors over requests and replies, one file each, and the proof type Screened.
