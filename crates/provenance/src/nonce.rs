//! Deterministic nonces for P-521 (RFC 6979, section 3.2, with HMAC-SHA-512), which the `p521` crate leaves to a source
//! of random numbers. Here the source is the generator of the RFC: what it draws from it are the candidates for `k`.

use hmac::{Hmac, Mac as _};
use p521::elliptic_curve::rand_core::{CryptoRng, Error, RngCore};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Bytes of a scalar.
const SCALAR: usize = 66;
/// Bits that a scalar of 66 bytes has too many: 528 − 521.
const SPARE: u32 = 7;

/// The generator.
pub(crate) struct Nonces {
    key: Zeroizing<[u8; 64]>,
    value: Zeroizing<[u8; 64]>,
    drawn: bool,
}

impl Nonces {
    /// From the private key as 66 bytes and the SHA-512 digest of the message.
    pub(crate) fn new(secret: &[u8], prehash: &[u8; 64]) -> Self {
        let mut new = Self { key: Zeroizing::new([0; 64]), value: Zeroizing::new([1; 64]), drawn: false };
        for round in [0, 1] {
            // The digest has fewer bits than the order, so it is below it: only padded.
            new.key = new.mac(&[&[round], secret, &[0, 0], prehash]);
            new.value = new.mac(&[]);
        }
        new
    }

    fn mac(&self, more: &[&[u8]]) -> Zeroizing<[u8; 64]> {
        // HMAC takes keys of any length; were it not so, the signature would not fit and be refused by its maker.
        let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(&*self.key) else { return Zeroizing::new([0; 64]) };
        mac.update(&*self.value);
        more.iter().for_each(|part| mac.update(part));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl CryptoRng for Nonces {}

impl RngCore for Nonces {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// The next candidate: 521 bits, right-aligned.
    fn fill_bytes(&mut self, out: &mut [u8]) {
        if self.drawn {
            self.key = self.mac(&[&[0]]);
            self.value = self.mac(&[]);
        }
        self.drawn = true;
        let mut bits = Zeroizing::new([0_u8; 128]);
        for half in bits.chunks_exact_mut(64) {
            self.value = self.mac(&[]);
            half.copy_from_slice(&*self.value);
        }
        let mut carry = 0;
        for (place, byte) in out.iter_mut().zip(bits.iter().take(SCALAR)) {
            *place = (byte >> SPARE) | carry;
            carry = byte << (8 - SPARE);
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn the_nonce_is_that_of_rfc_6979_a_2_7() {
        let secret = "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc\
                      1466f6d8fbec67db89ec0c08b0e996b83538";
        let expected = "01dae2ea071f8110dc26882d4d5eae0621a3256fc8847fb9022e2b7d28e6f10198b1574fdd03a9053c08a1854a168aa5\
                        a57470ec97dd5ce090124ef52a2f7ecbffd3";
        let mut nonces = Nonces::new(&hex::decode(secret).unwrap(), &sha2::Sha512::digest(b"sample").into());
        let mut k = [0; SCALAR];
        nonces.fill_bytes(&mut k);
        assert_eq!(hex::encode(k), expected);
    }
}
