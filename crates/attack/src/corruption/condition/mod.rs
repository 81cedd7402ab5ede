//! Conditions of the clinic that no benchmark has: what an acquisition, an archive or a person does to an image.

pub(super) mod bit_depth;
pub(super) mod collimation;
pub(super) mod cropped;
pub(super) mod dead_lines;
pub(super) mod flipped;
pub(super) mod inversion;
pub(super) mod laterality_marker;
mod place;
pub(super) mod rotation;
pub(super) mod shifted;
pub(super) mod window;
