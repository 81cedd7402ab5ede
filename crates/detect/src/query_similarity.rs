//! G005: many nearly equal queries, from one client or from many: somebody searches for an evasion.

use domain::{InputSchema, Location, Outcome, Severity, catalogue_entry};
use numeric::{Matrix, all_finite};
use serde::{Deserialize, Serialize};

use crate::FitError;
use crate::history::History;
use crate::memory::Radii;
use crate::rows::{Report, Watch};
use crate::settings::{Count, Rate, guard_settings};
use crate::sketch::{Sketch, SketchWork, Sketcher};

catalogue_entry! {
    /// Several different queries are too near to each other to be different patients.
    ///
    /// ## What it is
    /// Attacks that see only answers ask hundreds of times about one patient with small changes. The guard keeps a
    /// sketch of 24 bytes of each query of a system, whoever asked, and counts the different queries nearby. How near is
    /// near is learnt: the radius at which chance neighbours among all stored queries are rarer than stated. Block means
    /// and principal axes keep a copy near although noise was added to hide it. A second test finds queries that lie on
    /// a straight line between two others: the binary search with which decision-based attacks start.
    ///
    /// ## Why it matters in care
    /// Pixel changes that nobody sees turn pneumonia into normal. Finding them through the interface takes many queries;
    /// seeing the search is the only chance before it succeeds, and afterwards nothing in the image shows it.
    ///
    /// ## Limits
    /// The same query sent again does not count. A patient measured again and again with hardly any change does (raise
    /// `near_rows` for monitoring systems). Attacks that need no queries (transfer from a copy) leave no trace here, and
    /// an attacker who spends fewer queries per window than the threshold is not seen. Noise large enough to leave the
    /// radius hides the search, and mostly defeats it too; G003 sees such noise in images. Blocking tells an attacker
    /// that adapts (OARS) where the threshold is; flagging does not.
    ///
    /// ## References
    /// Chen, Carlini and Wagner 2019, arXiv:1907.05587; Li et al. 2022 (Blacklight), arXiv:2006.14042; Feng et al. 2023
    /// (OARS), arXiv:2303.06280; Datar et al. 2004, doi:10.1145/997817.997857 (hashing).
    pub static ENTRY = {
        id: "G005", name: "query-similarity", kind: Guard, since: "0.1.0",
        maps: ["AML.T0043.001", "AML.T0043", "AML.T0042", "AML.T0015", "ML01:2023", "NISTAML.022"],
    };
}

guard_settings! {
    /// Settings of G005.
    pub struct QuerySimilaritySettings { mode: Flag, budget_us: 50_000 }

    /// Different near queries that raise the alarm for images. 4: the fifth query of a search is caught; with 3, series of
    /// one patient's images gave 6 alarms on 5,206 distinct chest X-rays (development split), with 4 see docs/guards.md.
    near_images: Count<1, 16> = Count::new(4);

    /// The same for tables, where follow-up measurements of one patient are near each other.
    near_rows: Count<1, 16> = Count::new(4);

    /// Hours for which a query counts as near. A day: a patient measured daily never adds up, a search that asks
    /// less than the threshold per day would take years.
    window_hours: Count<1, 720> = Count::new(24);

    /// Queries remembered per system, 54 bytes each. 262,144 take 14 MB.
    remembered: Count<2048, 16_777_216> = Count::new(262_144);

    /// Chance neighbours that are expected among all remembered queries of other patients.
    chance: Rate = Rate::new(0.01);
}

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SimilarityFit {
    pub(crate) sketcher: Sketcher,
}

/// Learns the sketch space.
pub(crate) fn fit(schema: &InputSchema, inputs: &Matrix, seed: u64) -> Result<SimilarityFit, FitError> {
    Ok(SimilarityFit { sketcher: Sketcher::fit(schema, inputs, seed)? })
}

impl SimilarityFit {
    /// Radii for a memory of the configured size.
    pub(crate) fn radii(&self, settings: &QuerySimilaritySettings) -> Radii {
        let radius = |stored| self.sketcher.squared_radius(stored, settings.chance.get());
        Radii { recent: radius(crate::memory::RECENT), archive: radius(settings.remembered.size()) }
    }
}

/// What the memory says of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Different near queries.
    pub(crate) near: usize,
    /// Clients among them.
    pub(crate) clients: usize,
    /// One of several queries on a line between others.
    pub(crate) on_line: bool,
    /// The same query was sent by the same client before.
    pub(crate) repeated_by_client: bool,
    /// The row's sketch, for the guard that comes after.
    pub(crate) sketch: Option<Sketch>,
}

/// Rows that a client sent, or the scores it got for them.
pub(crate) struct Asked<'a> {
    pub(crate) rows: &'a Matrix,
    pub(crate) client: &'a domain::ClientId,
    pub(crate) at: domain::Timestamp,
}

/// Checks and remembers the rows. What was seen goes to `seen_rows` for the guard that comes after.
pub(crate) fn check(
    settings: &QuerySimilaritySettings,
    schema: &InputSchema,
    fit: &SimilarityFit,
    asked: &Asked<'_>,
    history: &History,
    seen_rows: &mut Vec<Seen>,
    watch: &Watch<'_>,
) -> Outcome {
    const REMEDY: &str = "ask the client what it is doing; suspend its key if it cannot say";
    const TECHNIQUE: Option<&str> = Some("AML.T0043.001");
    let enough = match schema {
        InputSchema::Image { .. } => settings.near_images,
        InputSchema::Table { .. } => settings.near_rows,
    };
    let radii = fit.radii(settings);
    let mut report = Report::new(ENTRY.id);
    let mut work = SketchWork::default();
    for (r, row) in asked.rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        if !all_finite(row) {
            report.doubt(format!("row {r} could not be compared"));
            seen_rows.push(Seen::default());
            continue;
        }
        let sketch = fit.sketcher.sketch(schema, row, &mut work);
        let tag = crate::sketch::tag(row);
        let seen = history.see(sketch, tag, asked.client, asked.at, radii, settings.window_hours.get());
        seen_rows.push(seen);
        if seen.near >= enough.size() {
            let who =
                if seen.clients > 1 { format!(" from {} clients", seen.clients) } else { String::new() };
            let message =
                format!("{} different queries{who} are too near to be different patients", seen.near + 1);
            report.find(Severity::High, Location::row(r, None), TECHNIQUE, message, REMEDY);
        } else if seen.on_line {
            let message = "queries lie on a straight line between others: a search for the decision's edge";
            report.find(Severity::High, Location::row(r, None), TECHNIQUE, message, REMEDY);
        }
    }
    report.finish()
}

#[cfg(test)]
#[path = "query_similarity_tests.rs"]
mod tests;
