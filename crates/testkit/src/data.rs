//! Readers of the test data: the prepared tables (CSV with `label` and `split`) and MedMNIST's `.npz`.

use std::io::Read as _;

use numeric::Matrix;

/// Largest array that is read, in bytes.
pub const ARRAY_BYTES_MAX: u64 = 1 << 30;

/// Why test data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A table without the columns it should have, or a value that is not a number.
    #[error("line {line} of the table is not as expected: {what}")]
    Table {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Not a ZIP archive, or an entry is missing.
    #[error("the archive cannot be read: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// Reading failed half-way.
    #[error("the archive ends early: {0}")]
    Io(#[from] std::io::Error),
    /// Not an array this reader knows.
    #[error("`{name}` is not an array of bytes: {what}")]
    Array {
        /// Entry.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// Part of a data set: rows that belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// One row per patient.
    pub inputs: Matrix,
    /// Right class of each row.
    pub labels: Vec<u32>,
}

/// The three parts of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Splits {
    /// For fitting.
    pub train: Part,
    /// For thresholds and choices.
    pub val: Part,
    /// For the final figures only.
    pub test: Part,
}

/// Reads a table whose last two columns are `label` and `split` (`train`, `val`, `test`). Plain numbers, no quotes; an empty cell
/// is a missing value and becomes the median of the training rows.
///
/// # Errors
/// When a line has another number of columns, or a value is not a number.
pub fn table(text: &str) -> Result<Splits, DataError> {
    let mut lines = text.lines().enumerate();
    let wrong = |line: usize, what| DataError::Table { line: line + 1, what };
    let (_, header) = lines.next().ok_or(wrong(0, "no header"))?;
    let width = header.split(',').count().checked_sub(2).ok_or(wrong(0, "too few columns"))?;
    if !header.trim_end().ends_with("label,split") {
        return Err(wrong(0, "the last columns are not `label,split`"));
    }
    let mut splits = Splits::default();
    for (n, line) in lines {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        if cells.len() != width + 2 {
            return Err(wrong(n, "another number of columns"));
        }
        let part = match cells[width + 1] {
            "train" => &mut splits.train,
            "val" => &mut splits.val,
            "test" => &mut splits.test,
            _ => return Err(wrong(n, "an unknown split")),
        };
        for cell in &cells[..width] {
            let value = if cell.is_empty() { Ok(f32::NAN) } else { cell.parse() };
            part.inputs.data.push(value.map_err(|_| wrong(n, "a value is not a number"))?);
        }
        part.labels.push(cells[width].parse().map_err(|_| wrong(n, "a label is not a number"))?);
        part.inputs.rows += 1;
        part.inputs.cols = width;
    }
    fill(&mut splits, width);
    Ok(splits)
}

/// Missing values become the median of the training rows, as the models were trained.
fn fill(splits: &mut Splits, width: usize) {
    for j in 0..width {
        let mut known: Vec<f64> =
            splits.train.inputs.column(j).into_iter().filter(|v| v.is_finite()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "read as single precision")]
        let median = numeric::median(&mut known) as f32;
        for part in [&mut splits.train, &mut splits.val, &mut splits.test] {
            let column = part.inputs.data.iter_mut().skip(j).step_by(width);
            column.filter(|v| v.is_nan()).for_each(|v| *v = median);
        }
    }
}

/// Reads a MedMNIST archive of grey images; pixels become 0 to 1.
///
/// # Errors
/// When an array is missing, damaged, too large or not of bytes.
pub fn medmnist(bytes: &[u8]) -> Result<Splits, DataError> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut part = |name: &str| -> Result<Part, DataError> {
        let (shape, pixels) = array(&mut archive, &format!("{name}_images.npy"))?;
        let (_, labels) = array(&mut archive, &format!("{name}_labels.npy"))?;
        let rows = shape.first().copied().unwrap_or(0);
        let cols = pixels.len().checked_div(rows).unwrap_or(0);
        let data = pixels.iter().map(|p| f32::from(*p) / 255.0).collect();
        let inputs = Matrix::new(rows, cols, data)
            .map_err(|_| DataError::Array { name: name.to_owned(), what: "the shape does not fit" })?;
        Ok(Part { inputs, labels: labels.into_iter().map(u32::from).collect() })
    };
    Ok(Splits { train: part("train")?, val: part("val")?, test: part("test")? })
}

/// One `.npy` array of unsigned bytes in C order (NumPy format 1.0 to 3.0).
fn array(
    archive: &mut zip::ZipArchive<std::io::Cursor<&[u8]>>,
    name: &str,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let wrong = |what| DataError::Array { name: name.to_owned(), what };
    let mut bytes = Vec::new();
    archive.by_name(name)?.take(ARRAY_BYTES_MAX).read_to_end(&mut bytes)?;
    if !bytes.starts_with(b"\x93NUMPY") || bytes.len() < 12 {
        return Err(wrong("not a NumPy array"));
    }
    let (start, length): (usize, usize) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        _ => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
    };
    let end =
        start.checked_add(length).filter(|e| *e <= bytes.len()).ok_or(wrong("the header is cut off"))?;
    let header = String::from_utf8_lossy(&bytes[start..end]).into_owned();
    if !header.contains("'|u1'") || !header.contains("'fortran_order': False") {
        return Err(wrong("not bytes in C order"));
    }
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let shape: Vec<usize> = shape
        .map(|(inner, _)| inner.split(',').filter_map(|n| n.trim().parse().ok()).collect())
        .ok_or(wrong("no shape"))?;
    let pixels = bytes.split_off(end);
    let wanted = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    if wanted != Some(pixels.len()) {
        return Err(wrong("the shape does not fit"));
    }
    Ok((shape, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_split_by_its_last_column() {
        let splits = table("a,b,label,split\n1,2.5,0,train\n3,4,1,test\n").unwrap();
        assert_eq!((splits.train.inputs.row(0), splits.test.labels.as_slice()), (&[1.0, 2.5][..], &[1][..]));
        for bad in
            ["", "a,b\n", "a,label,split\n1,0\n", "a,label,split\nx,0,train\n", "a,label,split\n1,0,dev\n"]
        {
            assert!(table(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_archive_are_an_error() {
        assert!(medmnist(b"").is_err());
        assert!(medmnist(b"PK\x05\x06 and some more bytes that are not").is_err());
    }
}
