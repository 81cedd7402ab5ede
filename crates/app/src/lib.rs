//! L4: the control plane: one file per use case.
