//! MedMNIST `.npz`: a zip of `train_images.npy`, `train_labels.npy` and so on (NumPy format 1.0, `|u1` pixels).
//!
//! Written here because the format is ten lines and the bounds matter: nothing is allocated from a declared size
//! before the bytes are there.

use std::io::{Cursor, Read as _};

use domain::InputSchema;
use numeric::Matrix;

use super::{Part, ROWS_MAX, VALUES_MAX};

/// Largest header of one array, in bytes (format 1.0 allows 65,535).
const HEADER_BYTES_MAX: usize = 4_096;
/// Most members of the archive.
const MEMBERS_MAX: usize = 64;

/// One array of unsigned bytes.
struct Array {
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// Reads the three splits; pixels 0 to 255 are scaled to the schema's range.
pub(super) fn read(bytes: &[u8], schema: &InputSchema) -> Result<([Part; 3], usize), String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| "not a zip archive".to_owned())?;
    if zip.len() > MEMBERS_MAX {
        return Err(format!("more than {MEMBERS_MAX} arrays"));
    }
    let mut parts: [Part; 3] = Default::default();
    for (part, name) in parts.iter_mut().zip(["train", "val", "test"]) {
        let images = member(&mut zip, &format!("{name}_images.npy"), VALUES_MAX)?;
        let labels = member(&mut zip, &format!("{name}_labels.npy"), ROWS_MAX)?;
        *part = join(name, &images, &labels, schema)?;
    }
    Ok((parts, 0))
}

fn member(zip: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str, max: usize) -> Result<Array, String> {
    let file = zip.by_name(name).map_err(|_| format!("there is no array `{name}`"))?;
    let mut bytes = Vec::new();
    let limit = (max + HEADER_BYTES_MAX) as u64;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|_| format!("`{name}` is damaged"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("`{name}` holds more than {max} values"));
    }
    parse_npy(bytes).map_err(|why| format!("`{name}`: {why}"))
}

/// NumPy's format 1.0 and 2.0: magic, version, header length, a Python dictionary, then the elements.
fn parse_npy(mut bytes: Vec<u8>) -> Result<Array, String> {
    let short = || "the array is cut short".to_owned();
    if bytes.get(..6) != Some(b"\x93NUMPY".as_slice()) {
        return Err("not a NumPy array".to_owned());
    }
    let (start, length) = match bytes.get(6..12) {
        Some(&[1, _, a, b, ..]) => (10, usize::from(u16::from_le_bytes([a, b]))),
        Some(&[2 | 3, _, a, b, c, d]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        _ => return Err(short()),
    };
    if length > HEADER_BYTES_MAX {
        return Err(format!("its header is longer than {HEADER_BYTES_MAX} bytes"));
    }
    let header = bytes.get(start..start + length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text".to_owned())?;
    if !header.contains("'|u1'") || !header.contains("'fortran_order': False") {
        return Err("only unsigned bytes in C order are read".to_owned());
    }
    let inside =
        header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    let shape: Option<Vec<usize>> = inside.and_then(|text| {
        text.split(',').map(str::trim).filter(|d| !d.is_empty()).take(8).map(|d| d.parse().ok()).collect()
    });
    let shape = shape.ok_or("its shape is not readable")?;
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).ok_or("its shape is too large")?;
    let data = bytes.split_off(start + length);
    if data.len() != count {
        return Err(short());
    }
    Ok(Array { shape, data })
}

fn join(name: &str, images: &Array, labels: &Array, schema: &InputSchema) -> Result<Part, String> {
    let InputSchema::Image { channels, height, width, min, max, .. } = schema else {
        return Err("image data for a table".to_owned());
    };
    let rows = images.shape.first().copied().unwrap_or(0);
    let declared: &[usize] = if *channels == 1 { &[*height, *width] } else { &[*height, *width, *channels] };
    if images.shape.get(1..) != Some(declared) {
        return Err(format!(
            "`{name}_images` has shape {:?}, declared is {declared:?} after the rows",
            images.shape
        ));
    }
    if labels.data.len() != rows {
        return Err(format!("`{name}_labels` has {} entries for {rows} images", labels.data.len()));
    }
    let scale = (max - min) / 255.0;
    #[expect(clippy::cast_possible_truncation, reason = "pixels need no more than f32")]
    let value = |byte: u8| scale.mul_add(f64::from(byte), *min) as f32;
    let table: Vec<f32> = (0..=255).map(value).collect();
    let plane = height * width;
    let mut data = Vec::with_capacity(images.data.len());
    for image in images.data.chunks_exact((plane * channels).max(1)) {
        for channel in 0..*channels {
            data.extend((0..plane).map(|p| table[usize::from(image[p * channels + channel])]));
        }
    }
    let inputs = Matrix::new(rows, plane * channels, data).map_err(|e| e.to_string())?;
    Ok(Part { inputs, labels: labels.data.iter().map(|&l| u32::from(l)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    fn npz(images: &[u8], labels: &[u8]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["train", "val", "test"] {
            for (kind, bytes) in [("images", images), ("labels", labels)] {
                zip.start_file(format!("{name}_{kind}.npy"), zip::write::SimpleFileOptions::default())
                    .unwrap();
                zip.write_all(bytes).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn schema() -> InputSchema {
        InputSchema::Image { tensor: "input".into(), channels: 1, height: 2, width: 2, min: 0.0, max: 1.0 }
    }

    #[test]
    fn pixels_are_scaled_to_the_declared_range() {
        let file = npz(&npy("1, 2, 2", &[0, 255, 51, 102]), &npy("1, 1", &[1]));
        let (parts, _) = read(&file, &schema()).unwrap();
        assert_eq!(parts[2].inputs.row(0), [0.0, 1.0, 0.2, 0.4]);
        assert_eq!(parts[2].labels, [1]);
    }

    #[test]
    fn arrays_that_lie_are_refused() {
        for (images, labels) in [
            (npy("2, 2, 2", &[0; 4]), npy("1, 1", &[1])),
            (npy("1, 2, 3", &[0; 6]), npy("1, 1", &[1])),
            (npy("1, 2, 2", &[0; 4]), npy("2, 1", &[1, 1])),
            (npy("99999999999, 99999999999, 9", &[0; 4]), npy("1, 1", &[1])),
            (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), vec![]),
        ] {
            assert!(read(&npz(&images, &labels), &schema()).is_err());
        }
        assert!(read(b"no zip", &schema()).is_err());
    }
}
