//! L1: Open Inference Protocol v2 on the wire: JSON, binary tensors, gRPC messages. Pure, bounded.
