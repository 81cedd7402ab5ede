//! Sigstore's `trusted_root.json`: the authorities and logs that a reader trusts, each for a time.

use domain::Timestamp;
use serde::Deserialize;

use crate::bundle::{LogId, RawBytes};
use crate::certificate::Certificate;
use crate::error::SignatureError;
use crate::json;
use crate::limits::{TRUSTED_PARTIES_MAX, TRUSTED_ROOT_BYTES_MAX};
use crate::name::shown;

const WHAT: &str = "the Sigstore trusted root";

/// Who Sigstore's signatures are checked against. Comes another way than the model: from Sigstore's update framework,
/// or from whoever runs a private instance.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) logs: Vec<Log>,
    pub(crate) certificate_logs: Vec<Log>,
    pub(crate) timestampers: Vec<Authority>,
}

/// A certificate authority or a timestamp authority: its chain, root last.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) chain: Vec<Certificate>,
    pub(crate) valid: Valid,
}

/// A log and its key as SubjectPublicKeyInfo in DER.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) id: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) origin: String,
    pub(crate) valid: Valid,
}

/// From when until when; no end is "still".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valid {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Valid {
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        at >= self.from && self.until.is_none_or(|until| at <= until)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRoot {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<RawLog>,
    #[serde(default)]
    certificate_authorities: Vec<RawAuthority>,
    #[serde(default)]
    ctlogs: Vec<RawLog>,
    #[serde(default)]
    timestamp_authorities: Vec<RawAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    #[serde(default)]
    base_url: String,
    public_key: RawLogKey,
    log_id: LogId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLogKey {
    raw_bytes: String,
    valid_for: Option<RawValid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAuthority {
    cert_chain: RawChain,
    valid_for: Option<RawValid>,
}

#[derive(Deserialize)]
struct RawChain {
    certificates: Vec<RawBytes>,
}

#[derive(Deserialize)]
struct RawValid {
    start: Option<String>,
    end: Option<String>,
}

impl TrustedRoot {
    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::TooLarge`], [`SignatureError::Unsupported`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let raw: RawRoot = json::parse(WHAT, bytes, TRUSTED_ROOT_BYTES_MAX)?;
        if !raw.media_type.starts_with("application/vnd.dev.sigstore.trustedroot") {
            return Err(SignatureError::Unsupported {
                what: "the trusted root of type",
                found: shown(&raw.media_type),
                remedy: "give Sigstore's trusted_root.json",
            });
        }
        let counts = [
            raw.tlogs.len(),
            raw.ctlogs.len(),
            raw.certificate_authorities.len(),
            raw.timestamp_authorities.len(),
        ];
        if let Some(&found) = counts.iter().find(|n| **n > TRUSTED_PARTIES_MAX) {
            return Err(SignatureError::TooLarge { what: WHAT, found, max: TRUSTED_PARTIES_MAX });
        }
        let authorities = |list: &[RawAuthority]| list.iter().map(authority).collect::<Result<Vec<_>, _>>();
        let logs = |list: &[RawLog]| list.iter().map(log).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            authorities: authorities(&raw.certificate_authorities)?,
            logs: logs(&raw.tlogs)?,
            certificate_logs: logs(&raw.ctlogs)?,
            timestampers: authorities(&raw.timestamp_authorities)?,
        })
    }
}

fn authority(raw: &RawAuthority) -> Result<Authority, SignatureError> {
    let chain = raw
        .cert_chain
        .certificates
        .iter()
        .take(crate::limits::CERTIFICATES_MAX)
        .map(|c| Certificate::from_der(&json::base64("a certificate", &c.raw_bytes)?))
        .collect::<Result<_, _>>()?;
    Ok(Authority { chain, valid: valid(raw.valid_for.as_ref())? })
}

fn log(raw: &RawLog) -> Result<Log, SignatureError> {
    let origin =
        raw.base_url.strip_prefix("https://").unwrap_or(&raw.base_url).trim_end_matches('/').to_owned();
    Ok(Log {
        id: json::base64("a log's id", &raw.log_id.key_id)?,
        spki: json::base64("a log's key", &raw.public_key.raw_bytes)?,
        origin,
        valid: valid(raw.public_key.valid_for.as_ref())?,
    })
}

fn valid(raw: Option<&RawValid>) -> Result<Valid, SignatureError> {
    let moment = |text: &Option<String>| -> Result<Option<Timestamp>, SignatureError> {
        text.as_deref()
            .map(|t| {
                rfc3339(t)
                    .ok_or_else(|| SignatureError::malformed(WHAT, format!("`{}` is no time", shown(t))))
            })
            .transpose()
    };
    let (start, end) = raw.map_or((&None, &None), |v| (&v.start, &v.end));
    Ok(Valid { from: moment(start)?.unwrap_or(Timestamp::from_millis(0)), until: moment(end)? })
}

/// `2022-04-13T20:06:15Z`, with or without a fraction, in UTC: what protobuf's JSON writes.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let body = text.strip_suffix('Z')?;
    let (whole, fraction) = body.split_once('.').unwrap_or((body, "0"));
    let digits: String = fraction.chars().chain("00".chars()).take(3).collect();
    let ms: i64 = digits.parse().ok()?;
    let moment: der::DateTime = format!("{whole}Z").parse().ok()?;
    let seconds = i64::try_from(moment.unix_duration().as_secs()).ok()?;
    Some(Timestamp::from_millis(seconds.checked_mul(1_000)?.checked_add(ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_fraction() {
        for (text, shown) in [
            ("2022-04-13T20:06:15Z", "2022-04-13T20:06:15.000Z"),
            ("2022-12-31T23:59:59.999Z", "2022-12-31T23:59:59.999Z"),
            ("2022-12-31T23:59:59.5Z", "2022-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(rfc3339(text).unwrap().to_string(), shown);
        }
        for bad in ["", "Z", "2022-12-31", "2022-12-31T23:59:59", "2022-13-31T23:59:59Z", "x.yZ"] {
            assert!(rfc3339(bad).is_none(), "{bad}");
        }
    }
}
