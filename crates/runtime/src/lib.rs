//! L3: ONNX models in process: bounded parsing, planned execution, tree ensembles.
