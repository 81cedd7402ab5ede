//! L4: the data plane: one readable path from a request to a screened, audited reply.
