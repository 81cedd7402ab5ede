//! PKCS#11 URIs (RFC 7512), the part of them that names a key.

use std::str::FromStr;

/// Bytes of a URI.
const URI_BYTES_MAX: usize = 4_096;

/// Which key of which token. `pkcs11:token=ward;object=models;id=%01`, also with `serial`, and with `module-path` and
/// `pin-value` behind a question mark.
///
/// No Debug: it may hold a PIN.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyUri {
    token: Option<String>,
    serial: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module_path: Option<String>,
    pin: Option<String>,
}

/// Why a text names no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UriError {
    /// It does not start with `pkcs11:`, or is too long.
    Scheme,
    /// An attribute that is broken, unknown, or there twice.
    Attribute(String),
    /// It names neither `object` nor `id`.
    NoKey,
}

impl std::fmt::Display for UriError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scheme => f.write_str("a key in a device is named `pkcs11:token=NAME;object=NAME`"),
            Self::Attribute(name) => {
                write!(
                    f,
                    "`{name}` is not understood: token, serial, object, id, type, module-path, pin-value are"
                )
            }
            Self::NoKey => f.write_str("the URI names no key: add `object=NAME` or `id=%01`"),
        }
    }
}

impl std::error::Error for UriError {}

impl KeyUri {
    /// The token's label.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The token's serial number.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The key's label.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The key's id.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// Where the device's library is.
    pub fn module_path(&self) -> Option<&str> {
        self.module_path.as_deref()
    }

    /// The PIN, when somebody wrote it into the URI; an environment variable is the better place.
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }
}

impl FromStr for KeyUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let body =
            text.strip_prefix("pkcs11:").filter(|_| text.len() <= URI_BYTES_MAX).ok_or(UriError::Scheme)?;
        let (path, query) = body.split_once('?').unwrap_or((body, ""));
        let mut uri = Self::default();
        let parts = path.split(';').map(|p| (p, false)).chain(query.split('&').map(|p| (p, true)));
        for (part, in_query) in parts.filter(|(p, _)| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let wrong = || UriError::Attribute(name.chars().take(40).collect());
            let bytes = decode(value).ok_or_else(wrong)?;
            if name == "id" && !in_query {
                if uri.id.replace(bytes).is_some() {
                    return Err(wrong());
                }
                continue;
            }
            let value = String::from_utf8(bytes).map_err(|_| wrong())?;
            let place = match (name, in_query) {
                ("token", false) => &mut uri.token,
                ("serial", false) => &mut uri.serial,
                ("object", false) => &mut uri.object,
                ("module-path", true) => &mut uri.module_path,
                ("pin-value", true) => &mut uri.pin,
                ("type", false) if value == "private" => continue,
                _ => return Err(wrong()),
            };
            if place.replace(value).is_some() {
                return Err(wrong());
            }
        }
        if uri.object.is_none() && uri.id.is_none() { Err(UriError::NoKey) } else { Ok(uri) }
    }
}

/// Percent-decoding; `None` for a broken one.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KeyUri, UriError> {
        text.parse()
    }

    #[test]
    fn a_key_is_named_by_token_and_label_or_id() {
        let uri = parse(
            "pkcs11:token=The%20ward;object=models;id=%01%ff;type=private?module-path=/a.so&pin-value=1234",
        )
        .ok()
        .unwrap();
        assert_eq!((uri.token(), uri.object()), (Some("The ward"), Some("models")));
        assert_eq!(
            (uri.id(), uri.pin(), uri.module_path()),
            (Some(&[1, 255][..]), Some("1234"), Some("/a.so"))
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_ignored() {
        let long = format!("pkcs11:object={}", "x".repeat(URI_BYTES_MAX - 14));
        assert!(parse(&long).is_ok());
        for bad in [
            "",
            "file:x",
            "pkcs11:",
            "pkcs11:token=a",
            "pkcs11:object=a;object=b",
            "pkcs11:object=%g1",
            "pkcs11:object=%1",
            "pkcs11:object=a;type=public",
            "pkcs11:object=a;slot-id=1",
            "pkcs11:object=a?pin-source=x",
            "pkcs11:object=%ff",
            &format!("{long}x"),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
