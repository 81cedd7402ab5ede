//! The rehearsal: accidents and attacks on the example hospital, played over the same doors as real ones, labelled as a
//! rehearsal everywhere, and undone afterwards. It shows what each defence is for, and whether it worked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use app::Hospital;
use app::live::RehearsalStep;
use domain::{InputSchema, SystemId};
use numeric::{Matrix, Rng};
use tokio::sync::Mutex;
use upstream::UpstreamError;

use crate::traffic::{self, Caller};
use crate::vendor::Vendor;
use crate::{example, serve};

/// Queries of the perturbed patient at the most.
const EVASION_QUERIES_MAX: usize = 400;
/// Queries of the extraction at the most.
const EXTRACTION_QUERIES_MAX: usize = 600;
/// How long to wait for a gate to open or shut.
const GATE_WAIT: Duration = Duration::from_secs(20);
/// Longest quotation of a refusal, in bytes.
const SAID_CHARS_MAX: usize = 300;
/// Seed: the rehearsal is the same every time.
const SEED: u64 = 2026;
/// Pause between steps, so that people can follow.
const BREATH: Duration = Duration::from_secs(4);

const STEPS: [(&str, &str); 6] = [
    ("An interface sends a blood pressure of 1,200 mm[Hg]", "refused: no living patient has it"),
    ("A laboratory switches cholesterol from mg/dL to mmol/L", "refused, and the likely unit is named"),
    (
        "Somebody changes one patient bit by bit to flip the answer",
        "noticed after a few nearly equal queries, then refused",
    ),
    (
        "A client asks thousands of made-up patients to copy the model",
        "an alarm long before the copy is good",
    ),
    ("A model file is swapped on the disk", "the gate shuts; not one answer comes from the new file"),
    ("The vendor's server dies", "callers are told at once what to do; it comes back by itself"),
];

/// Who plays, and on what.
pub struct Rehearsal {
    hospital: Arc<Hospital>,
    gateway: SocketAddr,
    vendor: Arc<Mutex<Vendor>>,
    steps: Vec<RehearsalStep>,
}

fn id(name: &str) -> anyhow::Result<SystemId> {
    Ok(name.parse()?)
}

impl Rehearsal {
    /// Announces all steps.
    pub fn new(hospital: Arc<Hospital>, gateway: SocketAddr, vendor: Arc<Mutex<Vendor>>) -> Self {
        let step = |(title, expected): &(&str, &str)| RehearsalStep {
            title: (*title).to_owned(),
            expected: (*expected).to_owned(),
            state: "waiting".to_owned(),
            seen: String::new(),
        };
        let steps: Vec<_> = STEPS.iter().map(step).collect();
        hospital.live().rehearse(steps.clone());
        Self { hospital, gateway, vendor, steps }
    }

    /// Plays all steps, one after the other.
    pub async fn play(mut self) {
        for n in 0..self.steps.len() {
            tokio::time::sleep(BREATH).await;
            self.steps[n].state = "running".to_owned();
            self.hospital.live().rehearse(self.steps.clone());
            let result = match n {
                0 => self.out_of_range().await,
                1 => self.unit_mix_up().await,
                2 => self.evasion().await,
                3 => self.extraction().await,
                4 => self.swapped_model().await,
                _ => self.dead_upstream().await,
            };
            let (state, seen) = match result {
                Ok((true, seen)) => ("caught", seen),
                Ok((false, seen)) => ("missed", seen),
                Err(error) => ("skipped", format!("{error:#}")),
            };
            self.steps[n].state = state.to_owned();
            self.steps[n].seen = seen;
            self.hospital.live().rehearse(self.steps.clone());
        }
    }

    async fn caller(&self, client: &str, system: &str) -> anyhow::Result<Caller> {
        let system = id(system)?;
        let client = format!("{}{client}", gateway::REHEARSAL_PREFIX).parse()?;
        let key = traffic::key(&self.hospital, &client, std::slice::from_ref(&system)).await?;
        let caller = Caller::new(self.gateway, &system, self.hospital.system(&system)?.schema, &key)?;
        caller.wait_until_known().await?;
        Ok(caller)
    }

    fn rows(&self, system: &str) -> anyhow::Result<app::dataset::Dataset> {
        traffic::rows(&self.hospital, &id(system)?)
    }

    /// Sends one patient with one value changed.
    async fn one_wrong_value(
        &self,
        name: &str,
        change: impl Fn(f32) -> f32,
    ) -> anyhow::Result<(bool, String)> {
        let caller = self.caller("interface", "heart-disease").await?;
        let data = self.rows("heart-disease")?;
        let InputSchema::Table { features, .. } = self.hospital.system(&id("heart-disease")?)?.schema else {
            anyhow::bail!("heart-disease is not a table");
        };
        let at = features.iter().position(|f| f.name == name).context("the feature is not declared")?;
        let mut refused = Vec::new();
        for row in data.calibrate.inputs.iter_rows().take(4) {
            let mut row = row.to_vec();
            row[at] = change(row[at]);
            if let Err(error) = caller.ask(&row).await {
                refused.push(said(&error));
            }
        }
        let all = refused.len() == 4;
        Ok((
            all,
            format!(
                "{} of 4 requests refused. {}",
                refused.len(),
                refused.last().cloned().unwrap_or_default()
            ),
        ))
    }

    async fn out_of_range(&self) -> anyhow::Result<(bool, String)> {
        self.one_wrong_value("trestbps", |_| 1_200.0).await
    }

    async fn unit_mix_up(&self) -> anyhow::Result<(bool, String)> {
        self.one_wrong_value("chol", |v| v / 38.67).await
    }

    /// A random walk towards the decision boundary by small steps (after Brendel et al. 2018, arXiv:1712.04248): each
    /// query is the same patient, a little changed.
    async fn evasion(&self) -> anyhow::Result<(bool, String)> {
        let caller = self.caller("attacker", "breast-mass").await?;
        let data = self.rows("breast-mass")?;
        let spread = spread(&data.fit.inputs);
        let mut here = data.calibrate.inputs.row(3).to_vec();
        let mut rng = Rng::new(SEED, 1);
        let mut best = f32::INFINITY;
        for n in 1..=EVASION_QUERIES_MAX {
            let mut next = here.clone();
            for (value, width) in next.iter_mut().zip(&spread) {
                #[expect(clippy::cast_possible_truncation, reason = "a step needs no more than f32")]
                let step = (rng.normal() * 0.05) as f32 * width;
                *value = (*value + step).max(0.0);
            }
            match caller.ask(&next).await {
                Err(error) => return Ok((true, format!("refused at query {n}. {}", said(&error)))),
                Ok(outputs) => {
                    let margin = margin(&outputs).unwrap_or(0.0);
                    if margin < best {
                        (best, here) = (margin, next);
                    }
                }
            }
        }
        Ok((false, format!("{EVASION_QUERIES_MAX} queries were answered")))
    }

    /// Patients drawn at random between the lowest and highest value of each feature.
    async fn extraction(&self) -> anyhow::Result<(bool, String)> {
        let caller = self.caller("thief", "breast-mass").await?;
        let data = self.rows("breast-mass")?;
        let bounds = bounds(&data.fit.inputs);
        let mut rng = Rng::new(SEED, 2);
        let before = self.alarms("A002").await?;
        let mut answered = 0;
        for n in 1..=EXTRACTION_QUERIES_MAX {
            #[expect(clippy::cast_possible_truncation, reason = "a value needs no more than f32")]
            let row: Vec<f32> = bounds
                .iter()
                .map(|(low, high)| rng.range(f64::from(*low), f64::from(*high)) as f32)
                .collect();
            let result = caller.ask(&row).await;
            answered += usize::from(result.is_ok());
            if self.alarms("A002").await? > before {
                return Ok((true, format!("an alarm after {n} queries, {answered} of them answered")));
            }
            if let Err(error) = result
                && n > 20
                && answered == 0
            {
                return Ok((true, format!("none of {n} made-up patients was answered. {}", said(&error))));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok((false, format!("{answered} queries were answered and no alarm was raised")))
    }

    async fn alarms(&self, kind: &str) -> anyhow::Result<u64> {
        let all = self.hospital.alarms_after(0).await?;
        let mine = |a: &&app::live::AlarmRow| {
            a.alarm == kind && a.client.as_ref().is_some_and(gateway::is_rehearsal)
        };
        Ok(all.iter().filter(mine).map(|a| u64::from(a.count)).sum())
    }

    async fn swapped_model(&self) -> anyhow::Result<(bool, String)> {
        let system = id("heart-disease")?;
        let app::config::ModelSource::File(path) = self.hospital.system(&system)?.model else {
            anyhow::bail!("heart-disease has no model file");
        };
        let caller = self.caller("interface", "heart-disease").await?;
        let patient = self.rows("heart-disease")?.calibrate.inputs.row(0).to_vec();
        let good = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        let kept = kept_beside(&path);
        example::write_whole(&kept, &good)?;
        example::write_whole(&path, &bad)?;
        let shut = self.wait_for_gate(&system, false).await;
        let refused = caller.ask(&patient).await.err();
        put_right(&path)?;
        let open = self.wait_for_gate(&system, true).await;
        let again = caller.ask(&patient).await.is_ok();
        let text = match &refused {
            Some(error) => format!(
                "one changed byte shut the gate. {} The right file is back{}",
                said(error),
                if open && again { ", its evidence still holds, and the system answers again" } else { "" }
            ),
            None => "the system went on answering".to_owned(),
        };
        Ok((shut && refused.is_some() && open && again, text))
    }

    /// Waits until the gateway serves, or does not serve, `system`.
    async fn wait_for_gate(&self, system: &SystemId, open: bool) -> bool {
        let until = tokio::time::Instant::now() + GATE_WAIT;
        while tokio::time::Instant::now() < until {
            let is = self.hospital.gate(system, domain::Stage::Deployment).is_ok_and(|g| g.open);
            if is == open {
                // The gateway follows with the next snapshot.
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        false
    }

    async fn dead_upstream(&self) -> anyhow::Result<(bool, String)> {
        let caller = self.caller("cardiology", "heart-disease-vendor").await?;
        let data = self.rows("heart-disease-vendor")?;
        let patients = &data.calibrate.inputs;
        if let Err(error) = caller.ask(patients.row(0)).await {
            anyhow::bail!("the vendor's system does not answer before the rehearsal: {}", said(&error));
        }
        self.vendor.lock().await.die();
        let mut refused = Vec::new();
        for n in 0..8 {
            if let Err(error) = caller.ask(patients.row(1 + n)).await {
                refused.push(said(&error));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.vendor.lock().await.restart().await?;
        let mut back = false;
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            back = caller.ask(patients.row(0)).await.is_ok();
            if back {
                break;
            }
        }
        let text = format!(
            "{} of 8 requests were told so at once. {} {}",
            refused.len(),
            refused.last().cloned().unwrap_or_default(),
            if back {
                "After the server came back the system answered again by itself."
            } else {
                "It did not come back."
            }
        );
        Ok((refused.len() == 8 && back, text))
    }
}

/// What a refusal said, shortened.
fn said(error: &UpstreamError) -> String {
    let text = match error {
        UpstreamError::Refused { detail, .. } => detail.phi().expose().clone(),
        other => other.to_string(),
    };
    // Whole clauses, so that no sentence ends in the middle of a word.
    let mut short = String::new();
    for clause in text.split("; ") {
        if !short.is_empty() && short.len() + clause.len() > SAID_CHARS_MAX {
            break;
        }
        short.push_str(if short.is_empty() { "" } else { "; " });
        short.push_str(clause);
    }
    if short.matches('(').count() > short.matches(')').count()
        && let Some(open) = short.rfind(" (")
    {
        short.truncate(open);
    }
    format!("The gateway said: {}.", short.trim().trim_end_matches('.'))
}

/// Distance of the two highest scores.
fn margin(outputs: &[domain::Tensor]) -> Option<f32> {
    let scores = detect::class_scores(outputs, None, detect::OutputKind::Auto)?;
    let mut row = scores.row(0).to_vec();
    row.sort_by(f32::total_cmp);
    Some(row[row.len() - 1] - row[row.len() - 2])
}

fn bounds(inputs: &Matrix) -> Vec<(f32, f32)> {
    (0..inputs.cols)
        .map(|j| {
            inputs.iter_rows().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), row| {
                (low.min(row[j]), high.max(row[j]))
            })
        })
        .collect()
}

fn spread(inputs: &Matrix) -> Vec<f32> {
    bounds(inputs).into_iter().map(|(low, high)| (high - low) / 6.0).collect()
}

fn kept_beside(path: &std::path::Path) -> PathBuf {
    path.with_extension("onnx.kept-by-rehearsal")
}

/// Puts the right model file back, also after a rehearsal that was cut off.
pub fn put_right(path: &std::path::Path) -> anyhow::Result<()> {
    let kept = kept_beside(path);
    if kept.exists() {
        std::fs::rename(&kept, path).with_context(|| format!("cannot put `{}` back", path.display()))?;
    }
    Ok(())
}

/// Puts every model file right that a cut-off rehearsal left swapped.
pub fn put_all_right(hospital: &Hospital) -> anyhow::Result<()> {
    for system in hospital.settings().systems.values() {
        if let app::config::ModelSource::File(path) = &system.model {
            put_right(path)?;
        }
    }
    Ok(())
}

/// Where the configuration expects the example's vendor, if that is on this machine.
pub fn vendor_address(hospital: &Hospital) -> Option<SocketAddr> {
    let settings = hospital.settings();
    let system = settings.systems.values().find(|s| s.id.as_str() == "heart-disease-vendor")?;
    let app::config::ModelSource::Remote(connection) = &system.model else { return None };
    let address: SocketAddr = connection.url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

/// Whether this hospital is the example that the rehearsal knows.
pub fn fits(hospital: &Hospital) -> bool {
    let settings = hospital.settings();
    let known = ["heart-disease", "breast-mass", "heart-disease-vendor"];
    serve::is_example(hospital) && known.iter().all(|k| settings.systems.keys().any(|id| id.as_str() == *k))
}
