//! A hospital's policy for scans: what may pass although it was found, until when and why, and what counts as found.

use artifact::{Part, Verdict};
use domain::{Digest, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use super::counted;
use crate::config::{nearest_name, suggest};

/// Largest policy file, bytes.
const POLICY_BYTES_MAX: usize = 1 << 20;

/// What is wrong with a policy file.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PolicyError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Options {
    #[serde(default)]
    verdict: Verdicts,
    #[serde(default)]
    allow: Vec<Allow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Verdicts {
    found_from: Severity,
    inconclusive: OnInconclusive,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self { found_from: Severity::Medium, inconclusive: OnInconclusive::Report }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnInconclusive {
    /// Stays inconclusive.
    Report,
    /// Counts as found.
    Found,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Allow {
    digest: Digest,
    #[serde(default)]
    rules: Vec<String>,
    reason: String,
    by: String,
    until: toml::value::Datetime,
}

/// A policy. The default lets nothing pass and counts findings from `medium` on.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    options: Options,
}

/// An allowance that concerned a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Allowed {
    /// The file it is for.
    pub digest: Digest,
    /// Rules it lets pass; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rules: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// Last moment, UTC.
    pub until: Timestamp,
    /// Whether it has ended; then it changed nothing.
    pub ended: bool,
}

impl Policy {
    /// Understands a policy file (TOML).
    ///
    /// # Errors
    /// [`PolicyError`] with the line; unknown keys are refused with the nearest known one.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            let message = format!("larger than {POLICY_BYTES_MAX} bytes: this is not a policy file");
            return Err(PolicyError { line: 1, message });
        }
        let options: Options = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1;
            let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
            PolicyError { line, message: suggest(&message) }
        })?;
        let known: Vec<&str> = artifact::entries().map(|e| e.id).collect();
        for (n, allow) in options.allow.iter().enumerate() {
            let wrong = |message: String| {
                let line = text.lines().enumerate().filter(|(_, l)| l.trim() == "[[allow]]").nth(n);
                PolicyError { line: line.map_or(1, |(i, _)| i + 1), message }
            };
            if let Some(rule) = allow.rules.iter().find(|r| !known.contains(&r.as_str())) {
                let near = nearest_name(rule, known.iter().copied())
                    .map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                return Err(wrong(format!("there is no rule `{rule}`{near}")));
            }
            if allow.reason.trim().is_empty() || allow.by.trim().is_empty() {
                return Err(wrong("an allowance needs a `reason` and `by` whom".to_owned()));
            }
            if end(&allow.until).is_none() {
                return Err(wrong("`until` is a date such as 2027-03-31".to_owned()));
            }
        }
        Ok(Self { options })
    }

    /// The verdict after the policy, and the allowances that concerned it. `files` are the files scanned, each with its
    /// digest; `around` is the folder they are in, whose own findings no allowance of a file lets pass.
    pub fn judge(
        &self,
        files: &[(Digest, &Part)],
        around: Option<&Part>,
        now: Timestamp,
    ) -> (Verdict, Vec<Allowed>) {
        let mut allowed: Vec<Allowed> = Vec::new();
        for allow in &self.options.allow {
            if files.iter().any(|(digest, _)| *digest == allow.digest) {
                allowed.push(allow.at(now));
            }
        }
        let own = around.map(|folder| {
            let mut own = folder.clone();
            own.parts.clear();
            own
        });
        let mut worst = own.map_or(Verdict::Clean, |own| self.of(&own, &[]));
        for (digest, part) in files {
            let live: Vec<&Allowed> = allowed.iter().filter(|a| !a.ended && a.digest == *digest).collect();
            worst = worst.max(self.of(part, &live));
        }
        (worst, allowed)
    }

    /// The verdict on one part under the allowances that hold for it.
    fn of(&self, part: &Part, live: &[&Allowed]) -> Verdict {
        if live.iter().any(|a| a.rules.is_empty()) {
            return Verdict::Clean;
        }
        let passes = |rule: &String| live.iter().any(|a| a.rules.contains(rule));
        if counted(part, self.options.verdict.found_from).iter().any(|f| !passes(&f.check)) {
            return Verdict::Found;
        }
        if part.walk().iter().all(|p| p.unread.is_empty()) {
            return Verdict::Clean;
        }
        match self.options.verdict.inconclusive {
            OnInconclusive::Report => Verdict::Inconclusive,
            OnInconclusive::Found => Verdict::Found,
        }
    }
}

impl Allow {
    fn at(&self, now: Timestamp) -> Allowed {
        let until = end(&self.until).unwrap_or_default();
        Allowed {
            digest: self.digest,
            rules: self.rules.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            until,
            ended: now > until,
        }
    }
}

/// The end of the day, or the moment itself, UTC.
fn end(until: &toml::value::Datetime) -> Option<Timestamp> {
    let date = until.date?;
    let midnight = Timestamp::from_date(i64::from(date.year), date.month, date.day)?;
    Some(match until.time {
        None => midnight.plus_days(1).plus_millis(-1),
        Some(time) => {
            let seconds = i64::from(time.hour) * 3600
                + i64::from(time.minute) * 60
                + i64::from(time.second.unwrap_or(0));
            let offset = match until.offset {
                Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes) * 60,
                _ => 0,
            };
            midnight.plus_millis((seconds - offset) * 1000)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

    fn found() -> Part {
        let mut part = Part::new("m.pkl", "pickle", 3);
        part.findings.push(domain::Finding {
            check: "S001".to_owned(),
            severity: Severity::Critical,
            location: domain::Location::whole(),
            message: "calls `os.system`".to_owned(),
            technique: None,
            remedy: "do not load it".to_owned(),
        });
        part
    }

    fn judge(policy: &str, now: &str) -> Verdict {
        let day: i64 = now.parse().unwrap();
        let digest: Digest = DIGEST.parse().unwrap();
        let now = Timestamp::from_date(2027, 3, 1).unwrap().plus_days(day);
        Policy::parse(policy).unwrap().judge(&[(digest, &found())], None, now).0
    }

    #[test]
    fn an_allowance_holds_for_its_file_and_rules_and_until_its_day_ends() {
        let allow = |rules: &str, until: &str| {
            format!(
                "[[allow]]\ndigest = \"{DIGEST}\"\nrules = [{rules}]\nreason = \"r\"\nby = \"ada\"\nuntil = {until}\n"
            )
        };
        assert_eq!(judge("", "0"), Verdict::Found);
        assert_eq!(judge(&allow("", "2027-03-02"), "0"), Verdict::Clean);
        assert_eq!(judge(&allow("", "2027-03-01"), "0"), Verdict::Clean);
        assert_eq!(judge(&allow("", "2027-02-28"), "0"), Verdict::Found);
        let first = artifact::entries().next().unwrap().id;
        let other = if first == "S001" { "S002" } else { first };
        let verdict = Policy::parse(&allow(&format!("\"{other}\""), "2027-03-02"));
        assert!(verdict.is_ok_and(|p| {
            p.judge(&[(DIGEST.parse().unwrap(), &found())], None, Timestamp::default()).0 == Verdict::Found
        }));
        let strange = DIGEST.replace('1', "2");
        assert_eq!(judge(&allow("", "2027-03-02").replace(DIGEST, &strange), "0"), Verdict::Found);
    }

    #[test]
    fn a_mistake_in_the_policy_names_line_and_nearest() {
        let said = Policy::parse("[verdict]\nfound-form = \"high\"\n").unwrap_err().to_string();
        assert!(said.starts_with("line 2: ") && said.contains("found-from"), "{said}");
        let said = Policy::parse("[[allow]]\ndigest = \"sha1:00\"\n").unwrap_err().to_string();
        assert!(said.contains("is not a digest"), "{said}");
    }
}
