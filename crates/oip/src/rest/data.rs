//! The `data` of a tensor: numbers, truths or texts, flat or nested, straight into a vector of their type.

use domain::{DataType, TensorData};

use super::fields::Trouble;
use crate::WireError;
use crate::limits::{DIMS_MAX, Limits};
use crate::scan::{Scan, Stop};

/// Elements as they came, and the lengths of the nested arrays that held them, outermost first.
pub(super) struct Elements {
    pub(super) data: TensorData,
    pub(super) nested: Vec<usize>,
}

/// What is known of a tensor before its elements are read.
pub(super) struct Declared<'t> {
    pub(super) name: &'t str,
    pub(super) datatype: DataType,
    pub(super) shape: &'t [usize],
}

/// Reads the array at `scan`; at most `budget` elements.
pub(super) fn read(
    scan: &mut Scan<'_>,
    tensor: &Declared<'_>,
    budget: usize,
    limits: &Limits,
) -> Result<Elements, Trouble> {
    macro_rules! whole {
        ($variant:ident) => {{
            let (v, nested) = array(scan, tensor, budget, limits, |s| Ok(s.number()?.as_whole()))?;
            (TensorData::$variant(v), nested)
        }};
    }
    let (data, nested) = match tensor.datatype {
        DataType::Bool => {
            let (v, nested) = array(scan, tensor, budget, limits, |s| Ok(s.boolean()))?;
            (TensorData::Bool(v), nested)
        }
        DataType::Uint8 => whole!(Uint8),
        DataType::Uint16 => whole!(Uint16),
        DataType::Uint32 => whole!(Uint32),
        DataType::Uint64 => whole!(Uint64),
        DataType::Int8 => whole!(Int8),
        DataType::Int16 => whole!(Int16),
        DataType::Int32 => whole!(Int32),
        DataType::Int64 => whole!(Int64),
        DataType::Fp16 => {
            let half =
                |s: &mut Scan<'_>| Ok(s.number()?.as_f32().map(nearest_half).filter(|x| x.is_finite()));
            let (v, nested) = array(scan, tensor, budget, limits, half)?;
            (TensorData::Fp16(v), nested)
        }
        DataType::Fp32 => {
            let (v, nested) = array(scan, tensor, budget, limits, |s| Ok(s.number()?.as_f32()))?;
            (TensorData::Fp32(v), nested)
        }
        DataType::Fp64 => {
            let (v, nested) = array(scan, tensor, budget, limits, |s| Ok(s.number()?.as_f64()))?;
            (TensorData::Fp64(v), nested)
        }
        DataType::Bytes => {
            let bytes_max = limits.string_bytes;
            let text = |s: &mut Scan<'_>| {
                let text = s.string("bytes in a `BYTES` element", bytes_max)?;
                Ok(Some(text.into_owned().into_bytes()))
            };
            let (v, nested) = array(scan, tensor, budget, limits, text)?;
            (TensorData::Bytes(v), nested)
        }
    };
    Ok(Elements { data, nested })
}

/// `FP16` has no text of its own: the number is rounded to the nearest half.
fn nearest_half(value: f32) -> f32 {
    crate::half::to_f32(crate::half::from_f32(value))
}

/// The open arrays around the current element.
struct Nest {
    /// Elements so far in each open array, outermost first.
    counts: [usize; DIMS_MAX],
    /// Length of the first closed array at each depth: all others there must have it too.
    lens: [Option<usize>; DIMS_MAX],
    /// Open arrays.
    depth: usize,
    /// Depth at which elements stand, once one has been seen.
    rank: Option<usize>,
}

impl Nest {
    /// Another array opens; false when the arrays do not form a box.
    fn open(&mut self, dims_max: usize) -> bool {
        if self.rank.is_some_and(|r| self.depth >= r) || self.depth >= dims_max {
            return false;
        }
        if let Some(outer) = self.depth.checked_sub(1) {
            self.counts[outer] += 1;
        }
        self.counts[self.depth] = 0;
        self.depth += 1;
        true
    }

    /// The innermost array closes; false when it is not as long as those before it.
    fn close(&mut self) -> bool {
        self.depth -= 1;
        let count = self.counts[self.depth];
        *self.lens[self.depth].get_or_insert(count) == count
    }

    /// The lengths, outermost first.
    fn lens(&self) -> Vec<usize> {
        self.lens.iter().map_while(|l| *l).collect()
    }
}

/// Reads nested arrays of elements; `element` gives `None` for what is not one.
fn array<T>(
    scan: &mut Scan<'_>,
    tensor: &Declared<'_>,
    budget: usize,
    limits: &Limits,
    element: impl Fn(&mut Scan<'_>) -> Result<Option<T>, Stop>,
) -> Result<(Vec<T>, Vec<usize>), Trouble> {
    let ragged = || WireError::Nesting { name: tensor.name.to_owned(), shape: tensor.shape.to_vec() };
    // The declared product, but no more than the bytes that are left can hold: a lie about the shape costs nothing.
    let declared = tensor.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
    let mut out = Vec::with_capacity(declared.min(scan.left() / 2 + 1).min(budget));
    let mut nest = Nest { counts: [0; DIMS_MAX], lens: [None; DIMS_MAX], depth: 0, rank: None };
    let dims_max = limits.dims.min(DIMS_MAX);
    scan.need(b'[', "an array of elements")?;
    nest.open(dims_max.max(1));
    // Each turn consumes at least one byte.
    loop {
        match scan.peek() {
            b'[' => {
                scan.bump();
                if !nest.open(dims_max) {
                    return Err(ragged().into());
                }
                continue;
            }
            b']' if nest.counts[nest.depth - 1] == 0 => {}
            _ => {
                let index = out.len();
                if index >= budget {
                    return Err(WireError::Limit { what: "elements", max: limits.elements }.into());
                }
                if *nest.rank.get_or_insert(nest.depth) != nest.depth {
                    return Err(ragged().into());
                }
                let wrong =
                    || WireError::Element { name: tensor.name.to_owned(), index, datatype: tensor.datatype };
                out.push(element(scan)?.ok_or_else(wrong)?);
                nest.counts[nest.depth - 1] += 1;
            }
        }
        loop {
            match scan.peek() {
                b',' => {
                    scan.bump();
                    break;
                }
                b']' => {
                    scan.bump();
                    if !nest.close() {
                        return Err(ragged().into());
                    }
                    if nest.depth == 0 {
                        return Ok((out, nest.lens()));
                    }
                }
                _ => return Err(Stop::Syntax("`,` or `]` in an array of elements").into()),
            }
        }
        if scan.peek() == b']' {
            return Err(Stop::Syntax("an element behind `,`").into());
        }
    }
}
