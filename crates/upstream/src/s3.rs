//! Objects of S3 and of stores that speak its protocol: where they are, and how a request is signed.
//!
//! Source: AWS Signature Version 4 for the header `Authorization` (Amazon S3 API Reference, "Authenticating Requests").

use std::fmt::Write as _;

use domain::Timestamp;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use sha2::{Digest as _, Sha256};

use crate::{Secret, UpstreamError};

/// SHA-256 of no bytes: the body of a GET.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Credentials; without them requests go unsigned, which public buckets accept.
#[derive(Clone)]
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: Secret,
    /// Session token of temporary credentials.
    pub token: Option<Secret>,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Address of the object.
    pub url: String,
    /// Region the signature is for.
    pub region: String,
}

impl Location {
    /// Understands `s3://bucket/key`. With `endpoint` (another store than Amazon's) the bucket is the first component of
    /// the path, else the first label of the host.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`] when bucket or key is missing or malformed.
    pub fn parse(url: &str, region: &str, endpoint: Option<&str>) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Settings(format!("`{url}` is not an object: write s3://bucket/key"));
        let (bucket, key) = url.strip_prefix("s3://").and_then(|r| r.split_once('/')).ok_or_else(wrong)?;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let region_good = region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if key.is_empty() || !(3..=63).contains(&bucket.len()) || !bucket.chars().all(good) || !region_good {
            return Err(wrong());
        }
        let key = encode(key);
        let url = match endpoint {
            Some(base) => format!("{}/{bucket}/{key}", base.trim_end_matches('/')),
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}/{key}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        };
        Ok(Self { url, region: region.to_owned() })
    }
}

impl Keys {
    /// The headers that authenticate one request without a body, at `now`.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`] for credentials that do not fit into a header.
    pub fn sign(
        &self,
        region: &str,
        method: &Method,
        uri: &Uri,
        now: Timestamp,
    ) -> Result<HeaderMap, UpstreamError> {
        let text = now.to_string();
        let digits: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        // 2027-03-01T12:00:00.123Z becomes 20270301T120000Z.
        let stamp = format!("{}Z", digits.get(..15).unwrap_or_default());
        let day = stamp.get(..8).unwrap_or_default();
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut signed =
            vec![("host", host), ("x-amz-content-sha256", EMPTY.to_owned()), ("x-amz-date", stamp.clone())];
        if let Some(token) = &self.token {
            signed.push(("x-amz-security-token", token.expose().to_owned()));
        }
        let names = signed.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{method}\n{}\n{}\n", uri.path(), uri.query().unwrap_or_default());
        for (name, value) in &signed {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{EMPTY}");
        let scope = format!("{day}/{region}/s3/aws4_request");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical.as_bytes()))
        );
        let first = format!("AWS4{}", self.secret.expose());
        let key = [day, region, "s3", "aws4_request"]
            .iter()
            .fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
        let signature = hex::encode(mac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.id
        );
        let mut headers = HeaderMap::new();
        for (name, value) in signed.into_iter().skip(1).chain([("authorization", authorization)]) {
            let bad = || {
                UpstreamError::Settings("the S3 credentials hold characters that no header can".to_owned())
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| bad())?;
            value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
            let name = if name == "authorization" {
                header::AUTHORIZATION
            } else {
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?
            };
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// A key as a path (RFC 3986 unreserved characters and `/` stay).
fn encode(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_on_amazon_and_elsewhere() {
        let url = |endpoint| Location::parse("s3://models/a b/m.pt", "eu-central-1", endpoint).unwrap().url;
        assert_eq!(url(None), "https://models.s3.eu-central-1.amazonaws.com/a%20b/m.pt");
        assert_eq!(url(Some("http://127.0.0.1:9000/")), "http://127.0.0.1:9000/models/a%20b/m.pt");
        for bad in ["s3://models", "s3:///k", "s3://Ab/k", "https://x/y", "s3://models/"] {
            assert!(Location::parse(bad, "eu-central-1", None).is_err(), "{bad}");
        }
    }

    /// The worked example "GET Object" of the API reference has a Range header in its signature, which ours has not; this
    /// signature was computed with botocore 1.44.5 (`S3SigV4Auth`) for the same request.
    #[test]
    fn a_signature_has_the_form_of_version_4() {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: None,
        };
        let uri: Uri = "https://examplebucket.s3.amazonaws.com/test.txt".parse().unwrap();
        let now = Timestamp::from_date(2013, 5, 24).unwrap();
        let headers = keys.sign("us-east-1", &Method::GET, &uri, now).unwrap();
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        let said = headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(said.contains("Credential=AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request"), "{said}");
        assert!(said.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date"), "{said}");
        assert!(
            said.ends_with("Signature=14f6a0997b2b70a86f4726658a6575b5109092ccb5fd328f51b369c44b4ac958"),
            "{said}"
        );
    }
}
