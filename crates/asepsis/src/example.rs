//! The example hospital, carried inside the program and unpacked on the first start; what is there is never overwritten.

use std::path::Path;

use anyhow::Context as _;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../examples/hospital/", $path)).as_slice())),*]
    };
}

/// Every file of the example hospital.
const FILES: &[(&str, &[u8])] = files![
    "README.md",
    "asepsis.toml",
    "data/wdbc.csv",
    "data/heart_cleveland.csv",
    "models/wdbc_mlp.onnx",
    "models/heart_cleveland_gbt.onnx",
    "models/heart_cleveland_mlp.onnx",
    "models/pneumonia_cnn.onnx",
    "models/wdbc_mlp.onnx.sig",
    "models/heart_cleveland_gbt.onnx.sig",
    "models/pneumonia_cnn.onnx.sig",
    "models/developers.pub",
];

/// The model of the example's remote vendor.
pub const VENDOR_MODEL: &[u8] = include_bytes!("../../../examples/hospital/models/heart_cleveland_mlp.onnx");

/// Unpacks the files that are not there. Returns how many were written.
pub fn unpack(folder: &Path) -> anyhow::Result<usize> {
    let mut written = 0;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if path.exists() {
            continue;
        }
        write_whole(&path, bytes)?;
        written += 1;
    }
    Ok(written)
}

/// Writes a file beside its place and renames it, so that a cut leaves nothing half.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path.exists() && !path.is_file() {
        anyhow::bail!("`{}` is no file: it is left as it is", path.display());
    }
    let folder = path.parent().context("a file needs a folder")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    let beside = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| {
        format!("cannot write `{}`: is the folder writable, and the disk not full?", path.display())
    })
}
