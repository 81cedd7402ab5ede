//! Model theft and privacy: what can be learned from a model's answers.
