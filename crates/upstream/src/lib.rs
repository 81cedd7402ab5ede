//! L3: clients of remote model servers and webhooks; the only crate that talks outside.
