//! What all guards share: the rows of a request as plain numbers, the stopwatch, and short ways to write findings.

use domain::{Clock, Finding, InferenceRequest, InputSchema, Location, Outcome, Severity, Tensor};
use numeric::Matrix;

/// Rows that one exchange may hold for the guards; more are a shape finding (G001).
pub(crate) const ROWS_MAX: usize = 65_536;

/// Rows between two looks at the clock: some microseconds of work, so that looking costs next to nothing.
const ROWS_PER_LOOK: usize = 16;

/// Findings kept of one kind: enough to act on, and a bound on the size of a verdict.
pub(crate) const FINDINGS_MAX: usize = 16;

/// The input tensor as rows, or why there are none.
pub(crate) fn rows_of(request: &InferenceRequest, schema: &InputSchema) -> Result<Matrix, &'static str> {
    let inputs = request.inputs.expose();
    let tensor =
        inputs.iter().find(|t| t.name() == schema.tensor()).ok_or("the declared input is missing")?;
    matrix_of(tensor, schema)
}

/// The tensor as rows of the declared width.
pub(crate) fn matrix_of(tensor: &Tensor, schema: &InputSchema) -> Result<Matrix, &'static str> {
    let rows = tensor.shape().first().copied().unwrap_or(0);
    if rows > ROWS_MAX || tensor.shape() != schema.shape(rows) {
        return Err("the input does not have the declared shape");
    }
    let data = tensor.data().to_f32().ok_or("the input does not hold numbers")?;
    Matrix::new(rows, schema.width(), data).map_err(|_| "the input does not have the declared shape")
}

/// Measures one guard against its budget.
pub(crate) struct Watch<'a> {
    clock: &'a dyn Clock,
    started: u64,
    budget_us: u64,
}

impl<'a> Watch<'a> {
    /// For a guard that starts at `started`, which is now.
    pub(crate) const fn new(clock: &'a dyn Clock, started: u64, budget_us: u64) -> Self {
        Self { clock, started, budget_us }
    }

    pub(crate) fn took_us(&self) -> u64 {
        self.clock.monotonic_us().saturating_sub(self.started)
    }

    /// True when the time is up before row `row`; looks at the clock once in a while.
    pub(crate) fn is_over(&self, row: usize) -> bool {
        row % ROWS_PER_LOOK == ROWS_PER_LOOK - 1 && self.took_us() > self.budget_us
    }
}

/// Collects the findings of one guard, bounded, and its doubt.
pub(crate) struct Report {
    check: &'static str,
    findings: Vec<Finding>,
    doubt: Option<String>,
}

impl Report {
    pub(crate) const fn new(check: &'static str) -> Self {
        Self { check, findings: Vec::new(), doubt: None }
    }

    /// Adds a finding. Of the least bad ones only the first [`FINDINGS_MAX`] are kept.
    pub(crate) fn find(
        &mut self,
        severity: Severity,
        location: Location,
        technique: Option<&str>,
        message: impl Into<String>,
        remedy: &str,
    ) {
        let finding = Finding {
            check: self.check.to_owned(),
            severity,
            location,
            message: message.into(),
            technique: technique.map(str::to_owned),
            remedy: remedy.to_owned(),
        };
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else if let Some(mildest) = self.findings.iter_mut().min_by_key(|f| f.severity)
            && mildest.severity < severity
        {
            *mildest = finding;
        }
    }

    /// Notes that something could not be decided; the first reason stays.
    pub(crate) fn doubt(&mut self, reason: impl Into<String>) {
        if self.doubt.is_none() {
            self.doubt = Some(reason.into());
        }
    }

    /// The time was up before row `row`.
    pub(crate) fn out_of_time(&mut self, row: usize) {
        self.doubt(format!("the time budget ended before row {row}"));
    }

    pub(crate) fn finish(self) -> Outcome {
        match self.doubt {
            Some(reason) => Outcome::Inconclusive {
                doubt: domain::Doubt { check: self.check.to_owned(), reason },
                findings: self.findings,
            },
            None => Outcome::from_findings(self.findings),
        }
    }
}
