//! MedMNIST `.npz`: `train_images`, `train_labels` and so on, unsigned bytes.

use domain::InputSchema;
use numeric::Matrix;

use super::{Part, ROWS_MAX, VALUES_MAX};
use crate::arrays::Archive;

/// One array of unsigned bytes.
struct Array {
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// Reads the three splits; pixels 0 to 255 are scaled to the schema's range.
pub(super) fn read(bytes: &[u8], schema: &InputSchema) -> Result<([Part; 3], usize), String> {
    let mut archive = Archive::open(bytes)?;
    let mut read = |name: String, max| archive.bytes(&name, max).map(|(shape, data)| Array { shape, data });
    let mut parts: [Part; 3] = Default::default();
    for (part, name) in parts.iter_mut().zip(["train", "val", "test"]) {
        let images = read(format!("{name}_images"), VALUES_MAX)?;
        let labels = read(format!("{name}_labels"), ROWS_MAX)?;
        *part = join(name, &images, &labels, schema)?;
    }
    Ok((parts, 0))
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
    use crate::arrays::tests::{npy as any, npz as archive};

    fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
        any("|u1", shape, data)
    }

    fn npz(images: &[u8], labels: &[u8]) -> Vec<u8> {
        let names = ["train", "val", "test"].map(|n| (format!("{n}_images"), format!("{n}_labels")));
        let members: Vec<(&str, Vec<u8>)> = names
            .iter()
            .flat_map(|(i, l)| [(i.as_str(), images.to_vec()), (l.as_str(), labels.to_vec())])
            .collect();
        archive(&members)
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
            (any("<f4", "1, 2, 2", &[0; 16]), npy("1, 1", &[1])),
            (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), vec![]),
        ] {
            assert!(read(&npz(&images, &labels), &schema()).is_err());
        }
        assert!(read(b"no zip", &schema()).is_err());
    }
}
