//! Signing keys that live in a device (smart card, HSM) behind its PKCS#11 library.
//!
//! [`DeviceKey::open`] takes a PKCS#11 URI (RFC 7512), opens a session and finds the one private key that it names;
//! [`DeviceKey`] then signs as [`provenance::Signer`] with `CKM_ECDSA` over the digest made here. The private key never
//! leaves the device. The library is loaded from a path that the caller names: it runs in this process, so it is
//! trusted like the program itself.

mod uri;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use provenance::{Curve, PublicKey, SignError, Signer};

pub use uri::{KeyUri, UriError};

/// A private key in a device, with an open session.
pub struct DeviceKey {
    public: PublicKey,
    key: ObjectHandle,
    session: Mutex<Session>,
    // The library stays loaded as long as the session is open.
    _library: Pkcs11,
}

fn device(what: &str) -> impl Fn(Error) -> SignError + '_ {
    move |error| SignError::Device(format!("{what}: {error}"))
}

impl DeviceKey {
    /// Opens the device and finds the key. `pin` comes before one in the URI; devices without a PIN take `None`.
    ///
    /// # Errors
    /// [`SignError::Device`] when the library, the token or the key is not there, when several fit, when the PIN is
    /// refused, or when the key is of another kind than ECDSA on P-256, P-384 or P-521.
    pub fn open(library: &Path, uri: &KeyUri, pin: Option<&str>) -> Result<Self, SignError> {
        let pkcs11 = Pkcs11::new(library).map_err(device("the PKCS#11 library cannot be loaded"))?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another key of this process uses it already.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(device("the PKCS#11 library does not start")(error)),
        }
        let slot = slot(&pkcs11, uri)?;
        let session = pkcs11.open_ro_session(slot).map_err(device("the device opens no session"))?;
        if let Some(pin) = pin.or(uri.pin()) {
            match session.login(UserType::User, Some(&AuthPin::from(pin.to_owned()))) {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(device("the device refuses the PIN")(error)),
            }
        }
        let (key, public) = key(&session, uri)?;
        Ok(Self { public, key, session: Mutex::new(session), _library: pkcs11 })
    }
}

impl Signer for DeviceKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let digest = self.public.curve().prehash(message);
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let raw =
            session.sign(&Mechanism::Ecdsa, self.key, &digest).map_err(device("the device does not sign"))?;
        self.public.signature_to_der(&raw).ok_or_else(|| {
            SignError::Device(format!("a signature of {} bytes is none of this curve", raw.len()))
        })
    }
}

/// The one slot whose token fits the URI.
fn slot(pkcs11: &Pkcs11, uri: &KeyUri) -> Result<Slot, SignError> {
    /// Slots that are looked at.
    const SLOTS_MAX: usize = 256;
    let slots = pkcs11.get_slots_with_initialized_token().map_err(device("the device lists no slots"))?;
    let mut found = Vec::new();
    for slot in slots.into_iter().take(SLOTS_MAX) {
        let token = pkcs11.get_token_info(slot).map_err(device("a token cannot be read"))?;
        let fits = uri.token().is_none_or(|label| token.label().trim_end() == label)
            && uri.serial().is_none_or(|serial| token.serial_number().trim_end() == serial);
        if fits {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(SignError::Device("no token fits the URI: look at `token` and `serial` in it".into())),
        many => Err(SignError::Device(format!("{} tokens fit the URI: name one by `serial`", many.len()))),
    }
}

/// The one private key that the URI names, and its public half.
fn key(session: &Session, uri: &KeyUri) -> Result<(ObjectHandle, PublicKey), SignError> {
    let find = |class: ObjectClass, id: Option<Vec<u8>>| {
        let mut template = vec![Attribute::Class(class)];
        template.extend(id.or_else(|| uri.id().map(<[u8]>::to_vec)).map(Attribute::Id));
        template.extend(uri.object().map(|label| Attribute::Label(label.as_bytes().to_vec())));
        session.find_objects(&template).map_err(device("the device cannot be searched"))
    };
    let keys = find(ObjectClass::PRIVATE_KEY, None)?;
    let [private] = keys.as_slice() else {
        let reason =
            format!("{} private keys fit the URI, one is needed: name it by `id` or `object`", keys.len());
        return Err(SignError::Device(reason));
    };
    let id = attributes(session, *private, &[AttributeType::Id])?.into_iter().find_map(|a| match a {
        Attribute::Id(id) if !id.is_empty() => Some(id),
        _ => None,
    });
    let publics = find(ObjectClass::PUBLIC_KEY, id)?;
    // Some devices tell the point with the private key as well.
    let holder = publics.first().unwrap_or(private);
    let (mut curve, mut point) = (None, None);
    for attribute in attributes(session, *holder, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        match attribute {
            Attribute::EcParams(der) => curve = curve_of(&der),
            Attribute::EcPoint(der) => point = Some(der),
            _ => {}
        }
    }
    let curve = curve.ok_or_else(|| {
        SignError::Device("the key is of another kind: ECDSA on P-256, P-384 or P-521 signs models".into())
    })?;
    let point = point.ok_or_else(|| SignError::Device("the device does not tell the public key".into()))?;
    let public =
        PublicKey::from_point(curve, point_of(&point)).map_err(|e| SignError::Device(e.to_string()))?;
    Ok((*private, public))
}

fn attributes(
    session: &Session,
    object: ObjectHandle,
    kinds: &[AttributeType],
) -> Result<Vec<Attribute>, SignError> {
    session.get_attributes(object, kinds).map_err(device("a key of the device cannot be read"))
}

/// The curve of an object identifier in DER (RFC 5480, section 2.1.1.1).
fn curve_of(parameters: &[u8]) -> Option<Curve> {
    match parameters {
        [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(Curve::P256),
        [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Curve::P384),
        [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23] => Some(Curve::P521),
        _ => None,
    }
}

/// The point inside the OCTET STRING that PKCS#11 wraps it in; bare points, which some devices give, stay as they are.
fn point_of(attribute: &[u8]) -> &[u8] {
    match attribute {
        [0x04, length, rest @ ..] if usize::from(*length) == rest.len() && *length < 0x80 => rest,
        [0x04, 0x81, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        bare => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_unwrapped_and_bare_ones_kept() {
        let bare: Vec<u8> = [vec![4], vec![7; 64]].concat();
        let wrapped = [vec![4, 65], bare.clone()].concat();
        let long: Vec<u8> = [vec![4, 0x81, 133, 4], vec![7; 132]].concat();
        assert_eq!(point_of(&wrapped), bare);
        assert_eq!(point_of(&bare), bare);
        assert_eq!(point_of(&long).len(), 133);
    }
}
