//! Keyed digests of what was asked and answered. Patient data has so little entropy (a table row is a few rounded
//! numbers) that a plain hash could be guessed by trying values; with a secret key it cannot.

use domain::{Digest, Hasher, Tensor, TensorData};

/// Block length of SHA-256 in bytes, for HMAC (RFC 2104, section 2).
const BLOCK_BYTES: usize = 64;

/// HMAC-SHA256 with the key's two states computed once.
#[derive(Clone)]
pub struct DigestKey {
    inner: Hasher,
    outer: Hasher,
}

impl DigestKey {
    /// From a 32-byte secret.
    pub fn new(key: &[u8; 32]) -> Self {
        let pad = |byte: u8| {
            let mut block = [byte; BLOCK_BYTES];
            block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
            let mut hasher = Hasher::new();
            hasher.update(&block);
            hasher
        };
        Self { inner: pad(0x36), outer: pad(0x5c) }
    }

    /// The keyed digest of some bytes.
    pub fn of(&self, bytes: &[u8]) -> Digest {
        let mut inner = self.inner.clone();
        inner.update(bytes);
        self.finish(inner)
    }

    /// A keyed digest of bytes that come in pieces.
    pub(crate) fn pieces(&self) -> Pieces {
        Pieces { key: self.clone(), inner: self.inner.clone() }
    }

    /// The keyed digest of named tensors: name, type, shape and elements, each field with its length in front, so that
    /// the same values give the same digest whichever protocol carried them.
    pub fn of_tensors(&self, tensors: &[Tensor]) -> Digest {
        let mut inner = self.inner.clone();
        let mut buffer = Vec::with_capacity(256);
        for tensor in tensors {
            buffer.clear();
            field(&mut buffer, tensor.name().as_bytes());
            field(&mut buffer, tensor.data().data_type().as_str().as_bytes());
            buffer.extend_from_slice(&(tensor.shape().len() as u64).to_be_bytes());
            tensor.shape().iter().for_each(|&d| buffer.extend_from_slice(&(d as u64).to_be_bytes()));
            inner.update(&buffer);
            elements(&mut inner, &mut buffer, tensor.data());
        }
        self.finish(inner)
    }

    fn finish(&self, inner: Hasher) -> Digest {
        let mut outer = self.outer.clone();
        outer.update(inner.finish().as_bytes());
        outer.finish()
    }
}

/// See [`DigestKey::pieces`].
pub(crate) struct Pieces {
    key: DigestKey,
    inner: Hasher,
}

impl Pieces {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        self.key.finish(self.inner)
    }
}

fn field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

/// Elements hashed at a time, so that a large image needs no second copy of itself.
const CHUNK_ELEMENTS: usize = 1_024;

fn elements(hasher: &mut Hasher, buffer: &mut Vec<u8>, data: &TensorData) {
    macro_rules! numbers {
        ($values:expr) => {
            for chunk in $values.chunks(CHUNK_ELEMENTS) {
                buffer.clear();
                chunk.iter().for_each(|v| buffer.extend_from_slice(&v.to_le_bytes()));
                hasher.update(buffer);
            }
        };
    }
    match data {
        TensorData::Bool(v) => {
            buffer.clear();
            buffer.extend(v.iter().map(|&b| u8::from(b)));
            hasher.update(buffer);
        }
        TensorData::Uint8(v) => _ = hasher.update(v),
        TensorData::Uint16(v) => numbers!(v),
        TensorData::Uint32(v) => numbers!(v),
        TensorData::Uint64(v) => numbers!(v),
        TensorData::Int8(v) => numbers!(v),
        TensorData::Int16(v) => numbers!(v),
        TensorData::Int32(v) => numbers!(v),
        TensorData::Int64(v) => numbers!(v),
        TensorData::Fp16(v) | TensorData::Fp32(v) => numbers!(v),
        TensorData::Fp64(v) => numbers!(v),
        TensorData::Bytes(v) => v.iter().for_each(|bytes| _ = hasher.field(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Tensor {
        Tensor::new(name, shape, TensorData::Fp32(values)).unwrap()
    }

    #[test]
    fn hmac_agrees_with_rfc_4231_test_case_1() {
        // The key of the test case is 20 bytes of 0x0b; HMAC pads keys with zeros, so 32 bytes with zeros is the same key.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "sha256:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(DigestKey::new(&key).of(b"Hi There").to_string(), expected);
    }

    #[test]
    fn name_shape_value_and_key_all_count() {
        let key = DigestKey::new(&[1; 32]);
        let base = key.of_tensors(&[tensor("x", vec![1, 2], vec![1.0, 2.0])]);
        assert_eq!(base, key.of_tensors(&[tensor("x", vec![1, 2], vec![1.0, 2.0])]));
        for other in [
            tensor("y", vec![1, 2], vec![1.0, 2.0]),
            tensor("x", vec![2, 1], vec![1.0, 2.0]),
            tensor("x", vec![1, 2], vec![1.0, 2.5]),
        ] {
            assert_ne!(base, key.of_tensors(&[other]));
        }
        assert_ne!(base, DigestKey::new(&[2; 32]).of_tensors(&[tensor("x", vec![1, 2], vec![1.0, 2.0])]));
    }
}
