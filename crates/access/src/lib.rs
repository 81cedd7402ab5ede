//! L1: who may do what: roles, Cedar policies, API keys, sessions. Pure, no I/O.
