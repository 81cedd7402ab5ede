//! Vector kernels. The instruction set is chosen at run time: AVX-512, AVX2 with FMA, or portable code.
//!
//! Safe throughout: `pulp` proves that the processor has the instructions before it gives out the token that uses them.

pub(crate) mod conv;
pub(crate) mod conv_narrow;
pub(crate) mod conv_weights;
pub(crate) mod gemm;
pub(crate) mod layout;
pub(crate) mod pool;
mod tile;
mod winograd;

use pulp::{Simd, WithSimd};

/// An instruction set this processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Isa {
    /// Eight emulated lanes, any processor.
    Portable,
    #[cfg(target_arch = "x86_64")]
    /// AVX2 and FMA, eight lanes.
    V3(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    /// AVX-512 F, BW, DQ, VL, sixteen lanes.
    V4(pulp::x86::V4),
}

impl Isa {
    /// The best instruction set of this processor.
    pub(crate) fn detect() -> Self {
        Self::all().pop().unwrap_or(Self::Portable)
    }

    /// Every instruction set of this processor, the best last.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V3::try_new().map(Self::V3));
            all.extend(pulp::x86::V4::try_new().map(Self::V4));
        }
        all
    }

    /// Floats in one vector register, and channels in one block of the blocked layout.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Portable => 8,
            #[cfg(target_arch = "x86_64")]
            Self::V3(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Self::V4(_) => 16,
        }
    }

    /// The name for people.
    #[cfg(test)]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::V3(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::V4(_) => "AVX-512",
        }
    }

    /// Runs an operation compiled for this instruction set.
    pub(crate) fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            Self::Portable => Simd::vectorize(pulp::Scalar256b, op),
            #[cfg(target_arch = "x86_64")]
            Self::V3(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Self::V4(simd) => Simd::vectorize(simd, op),
        }
    }
}

/// Floats that start at a cache line, so that streaming them never splits a load. Cloning keeps the values, and finds
/// the alignment again.
#[derive(Debug)]
pub(crate) struct Aligned {
    values: Vec<f32>,
    from: usize,
}

impl Aligned {
    pub(crate) fn new(values: &[f32]) -> Self {
        let mut held = Vec::with_capacity(values.len() + 16);
        let from = (held.as_ptr() as usize).wrapping_neg() % 64 / size_of::<f32>();
        held.resize(from, 0.0);
        held.extend_from_slice(values);
        Self { values: held, from }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.values.get(self.from..).unwrap_or_default()
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        Self::new(self)
    }
}
