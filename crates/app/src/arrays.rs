//! NumPy archives (`.npz`, `.npy` of format 1.0 to 3.0): reference data as MedMNIST publishes it, and rows as exercises get them from notebooks.
//!
//! Written here because the format is ten lines and the bounds matter: nothing is allocated from a declared size before the bytes are there.

use std::io::{Cursor, Read as _};

/// Largest header of one array, bytes (format 1.0 allows 65,535).
const HEADER_BYTES_MAX: usize = 4_096;
/// Most members of an archive.
const MEMBERS_MAX: usize = 64;
/// Most values of one array that is read as numbers.
const VALUES_MAX: usize = 1 << 28;

/// One array as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
    /// Unsigned bytes: pixels as cameras write them.
    pub(crate) bytes: bool,
}

/// One array as it is stored.
struct Stored {
    shape: Vec<usize>,
    /// NumPy's name of the type, for example `|u1`.
    kind: String,
    /// The file, and where in it the elements begin.
    file: Vec<u8>,
    start: usize,
}

impl Stored {
    fn data(&self) -> &[u8] {
        self.file.get(self.start..).unwrap_or_default()
    }
}

/// An opened archive.
pub(crate) struct Archive<'a> {
    zip: zip::ZipArchive<Cursor<&'a [u8]>>,
    /// Names without `.npy`.
    pub(crate) names: Vec<String>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let zip =
            zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| "not a NumPy archive (.npz)".to_owned())?;
        if zip.len() > MEMBERS_MAX {
            return Err(format!("more than {MEMBERS_MAX} arrays"));
        }
        let names = zip.file_names().map(|n| n.trim_end_matches(".npy").to_owned()).collect();
        Ok(Self { zip, names })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// The array called `name`, of any type of numbers.
    pub(crate) fn read(&mut self, name: &str) -> Result<Array, String> {
        let stored = self.stored(name, VALUES_MAX, 8)?;
        let values = elements(&stored.kind, stored.data()).map_err(|why| format!("`{name}`: {why}"))?;
        Ok(Array { shape: stored.shape, values, bytes: stored.kind == "|u1" })
    }

    /// The array called `name`, of unsigned bytes: its shape, and at most `values_max` elements.
    pub(crate) fn bytes(&mut self, name: &str, values_max: usize) -> Result<(Vec<usize>, Vec<u8>), String> {
        let mut stored = self.stored(name, values_max, 1)?;
        if stored.kind != "|u1" {
            return Err(format!("`{name}`: only unsigned bytes are read"));
        }
        Ok((stored.shape, stored.file.split_off(stored.start)))
    }

    fn stored(&mut self, name: &str, values_max: usize, value_bytes: usize) -> Result<Stored, String> {
        let member =
            self.zip.by_name(&format!("{name}.npy")).map_err(|_| format!("there is no array `{name}`"))?;
        let limit = (values_max * value_bytes + HEADER_BYTES_MAX) as u64;
        let mut file = Vec::new();
        member.take(limit + 1).read_to_end(&mut file).map_err(|_| format!("`{name}` is damaged"))?;
        if file.len() as u64 > limit {
            return Err(format!("`{name}` holds more than {values_max} values"));
        }
        parse(file, values_max).map_err(|why| format!("`{name}`: {why}"))
    }
}

/// NumPy's format 1.0 to 3.0: magic, version, header length, a Python dictionary, then the elements, as many as the shape says.
fn parse(file: Vec<u8>, values_max: usize) -> Result<Stored, String> {
    let short = || "the array is cut short".to_owned();
    if file.get(..6) != Some(b"\x93NUMPY".as_slice()) {
        return Err("not a NumPy array".to_owned());
    }
    let (start, length) = match file.get(6..12) {
        Some(&[1, _, a, b, ..]) => (10, usize::from(u16::from_le_bytes([a, b]))),
        Some(&[2 | 3, _, a, b, c, d]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        _ => return Err(short()),
    };
    if length > HEADER_BYTES_MAX {
        return Err(format!("its header is longer than {HEADER_BYTES_MAX} bytes"));
    }
    let header = file.get(start..start + length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text".to_owned())?;
    let between = |from: &str, to: char| {
        header.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(x, _)| x)
    };
    let kind = between("'descr': '", '\'').ok_or("its type is not readable: save plain numbers")?.to_owned();
    if !header.contains("'fortran_order': False") {
        return Err("it is stored in Fortran order: save `numpy.ascontiguousarray(x)`".to_owned());
    }
    let inside = between("'shape': (", ')').ok_or("its shape is not readable")?;
    let shape: Option<Vec<usize>> =
        inside.split(',').map(str::trim).filter(|d| !d.is_empty()).take(8).map(|d| d.parse().ok()).collect();
    let shape = shape.ok_or("its shape is not readable")?;
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).ok_or("its shape is too large")?;
    if count > values_max {
        return Err(format!("more than {values_max} values"));
    }
    let stored = Stored { shape, start: start + length, file, kind };
    match width(&stored.kind) {
        Some(width) if stored.data().len() == count * width => Ok(stored),
        Some(_) => Err(short()),
        None => Err(format!(
            "numbers of type `{}` are not read: save float32, float64, uint8 or int64",
            stored.kind
        )),
    }
}

/// Bytes of one element of a type that is read.
fn width(kind: &str) -> Option<usize> {
    match kind {
        "|u1" | "|b1" | "|i1" => Some(1),
        "<u2" | "<i2" => Some(2),
        "<u4" | "<i4" | "<f4" => Some(4),
        "<u8" | "<i8" | "<f8" => Some(8),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "inputs and labels are used in single precision"
)]
fn elements(kind: &str, data: &[u8]) -> Result<Vec<f32>, String> {
    macro_rules! read {
        ($type:ty, $to:expr) => {{
            let (chunks, _) = data.as_chunks::<{ size_of::<$type>() }>();
            Ok(chunks.iter().map(|c| $to(<$type>::from_le_bytes(*c))).collect())
        }};
    }
    match kind {
        "|u1" | "|b1" => read!(u8, f32::from),
        "|i1" => read!(i8, f32::from),
        "<u2" => read!(u16, f32::from),
        "<i2" => read!(i16, f32::from),
        "<u4" => read!(u32, |v| v as f32),
        "<i4" => read!(i32, |v| v as f32),
        "<u8" => read!(u64, |v| v as f32),
        "<i8" => read!(i64, |v| v as f32),
        "<f4" => read!(f32, |v| v),
        "<f8" => read!(f64, |v| v as f32),
        other => Err(format!("numbers of type `{other}` are not read")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write as _;

    pub(crate) fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    pub(crate) fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    pub(crate) fn doubles(values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn every_numeric_type_is_read() {
        let all: [(&str, Vec<u8>); 5] = [
            ("|u1", vec![3, 250]),
            ("<f8", doubles(&[3.0, 250.0])),
            ("<f4", [3.0_f32, 250.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
            ("<i8", [3_i64, 250].iter().flat_map(|v| v.to_le_bytes()).collect()),
            ("<u2", [3_u16, 250].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ];
        for (kind, data) in all {
            let file = npz(&[("x", npy(kind, "2,", &data))]);
            let array = Archive::open(&file).unwrap().read("x").unwrap();
            assert_eq!(
                (array.values.as_slice(), array.bytes),
                ([3.0, 250.0].as_slice(), kind == "|u1"),
                "{kind}"
            );
        }
    }

    #[test]
    fn arrays_that_lie_are_refused() {
        for bytes in [
            npy("<f8", "3,", &doubles(&[1.0])),
            npy("<f8", "99999999999, 99999999999, 9", &[0; 8]),
            npy("<f8", "400000000,", &[0; 8]),
            npy("|O", "1,", &[0; 8]),
            b"\x93NUMPY\x01\x00\xff\xff{".to_vec(),
            b"no array".to_vec(),
        ] {
            let file = npz(&[("x", bytes)]);
            assert!(Archive::open(&file).unwrap().read("x").is_err());
        }
        assert!(Archive::open(b"no zip").is_err());
    }
}
