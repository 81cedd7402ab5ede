//! Statements made of known pairs, and what became of them.

use knowledge::{Claim, ClaimKind, EdgeKind, Knowledge, NodeKind, Severity, Verdict};

use crate::later_voices::FOURTH;
use crate::phrasings::{AGAINST, APART, DENIES, SAFE, TOGETHER, TREATS};
use crate::voices::{FIRST, SECOND, THIRD, Voice};

type Core = Knowledge<Vec<u8>>;

fn say(phrase: &str, x: &str, d: &str) -> String {
    let text = phrase.replace("{x}", x).replace("{d}", d);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
}

/// The verdict on a whole statement: contradicted if any claim is, else supported if any is.
fn verdict(claims: &[Claim]) -> Verdict {
    let has = |v: Verdict| claims.iter().any(|c| c.verdict == v);
    if has(Verdict::Contradicted) {
        Verdict::Contradicted
    } else if has(Verdict::Supported) {
        Verdict::Supported
    } else {
        Verdict::NotKnown
    }
}

fn per_cent(part: usize, whole: usize) -> f64 {
    if whole == 0 { f64::NAN } else { 100.0 * part as f64 / whole as f64 }
}

/// `X treats D` for each category of the physicians' pairs.
pub fn physicians(core: &Core, pairs: &[(String, String, String)], title: &str) {
    println!(
        "\n## {title}\n| category | pairs | supported | contradicted | not known |\n|---|---|---|---|---|"
    );
    for category in ["DM", "SYM", "NOT"] {
        let mut counts = [0_usize; 3];
        for (drug, disease, _) in pairs.iter().filter(|p| p.2 == category) {
            let found = verdict(&core.claims(&say(TREATS[2], drug, disease)));
            counts[found as usize] += 1;
        }
        let n: usize = counts.iter().sum();
        let [s, c, u] = counts.map(|k| per_cent(k, n));
        println!("| {category} | {n} | {s:.1} % | {c:.1} % | {u:.1} % |");
    }
}

/// Drug and condition names of the edges of a kind, as their entries name them.
fn edges(core: &Core, kind: EdgeKind, wanted: impl Fn(Severity) -> bool) -> Vec<(String, String)> {
    let graph = core.graph();
    let drugs = graph.nodes().filter(|n| matches!(graph.node(*n).kind, NodeKind::Drug | NodeKind::Class));
    let all = drugs.flat_map(|n| {
        graph.edges_from(n).filter(|e| e.kind == kind && wanted(e.severity)).map(move |e| (n, e.to))
    });
    all.map(|(a, b)| (graph.node(a).name.to_owned(), graph.node(b).name.to_owned())).collect()
}

#[derive(Default)]
struct Tally {
    all: usize,
    hit: usize,
    wrong: usize,
}

struct Asked<'a> {
    name: &'static str,
    phrasings: &'static [&'static str],
    seen: usize,
    all_seen: usize,
    pairs: &'a [(String, String)],
    /// The statement is false, so it should be contradicted.
    is_false: bool,
}

/// Phrasings by when they were looked at.
const HALVES: [&str; 3] = ["seen", "later seen", "written last"];

impl Asked<'_> {
    /// Verdicts on one half of the phrasings. Each phrasing gets every third pair, shifted, so that all meet evenly.
    fn count(&self, core: &Core, row: usize, half: &str, show: Option<&str>) -> [usize; 3] {
        let part = match half {
            "seen" => self.phrasings.get(..self.seen),
            "later seen" => self.phrasings.get(self.seen..self.all_seen),
            _ => self.phrasings.get(self.all_seen..),
        };
        let mut counts = [0_usize; 3];
        for (at, phrase) in part.unwrap_or_default().iter().enumerate() {
            let mut tally = Tally::default();
            for (x, d) in self.pairs.iter().skip((at + row) % 3).step_by(3) {
                let text = say(phrase, x, d);
                let found = verdict(&core.claims(&text));
                counts[found as usize] += 1;
                tally.all += 1;
                let good = (found == Verdict::Contradicted) == self.is_false;
                tally.hit += usize::from(good);
                tally.wrong += usize::from(!good);
                if !good && show == Some("misses") && half == "seen" && tally.wrong <= 3 {
                    println!("   {found:?}: {text}");
                }
            }
            if show == Some("phrasings") || show == Some("misses") && half == "seen" {
                println!("   {:5.1} % of {} as wanted: {phrase}", per_cent(tally.hit, tally.all), tally.all);
            }
        }
        counts
    }
}

/// What is asked of the pairs that the graph and the physicians have.
fn ask(core: &Core, pairs: &[(String, String, String)], mut each: impl FnMut(usize, &Asked<'_>)) {
    let of =
        |c: &str| pairs.iter().filter(|p| p.2 == c).map(|p| (p.0.clone(), p.1.clone())).collect::<Vec<_>>();
    let (treats, not) = (of("DM"), of("NOT"));
    let label: Vec<_> = edges(core, EdgeKind::Indicates, |_| true);
    let against = edges(core, EdgeKind::Contraindicated, |_| true);
    let together = edges(core, EdgeKind::Interacts, |s| s >= Severity::Severe);
    let row = |name, phrasings: &'static [&'static str], (seen, all_seen), pairs, is_false| Asked {
        name,
        phrasings,
        seen,
        all_seen,
        pairs,
        is_false,
    };
    let asked = [
        row("indication denied (physicians' DM)", &DENIES, (15, 48), &treats, true),
        row("indication denied (formulary)", &DENIES, (15, 48), &label, true),
        row("rejected pair asserted (NOT)", &TREATS, (20, 52), &not, true),
        row("contraindication asserted as right", &SAFE, (13, 40), &against, true),
        row("severe interaction asserted as safe", &TOGETHER, (6, 20), &together, true),
        row("indication asserted (physicians' DM)", &TREATS, (20, 52), &treats, false),
        row("indication asserted (formulary)", &TREATS, (20, 52), &label, false),
        row("contraindication stated", &AGAINST, (9, 26), &against, false),
        row("severe interaction stated", &APART, (5, 16), &together, false),
    ];
    asked.iter().enumerate().for_each(|(at, asked)| each(at, asked));
}

/// False and true statements about pairs that the graph knows, in all phrasings.
pub fn known(core: &Core, pairs: &[(String, String, String)], show: Option<&str>) {
    println!(
        "\n## Statements about known pairs\n| statements | phrasings | n | contradicted | supported |\n|---|---|---|---|---|"
    );
    let mut totals = [(0, 0); 6];
    ask(core, pairs, |row, asked| {
        for (place, half) in HALVES.into_iter().enumerate() {
            let counts = asked.count(core, row, half, show);
            let n: usize = counts.iter().sum();
            let [s, c, _] = counts.map(|k| per_cent(k, n));
            println!("| {} | {half} | {n} | {c:.1} % | {s:.1} % |", asked.name);
            let slot = &mut totals[place * 2 + usize::from(!asked.is_false)];
            slot.0 += counts[Verdict::Contradicted as usize];
            slot.1 += n;
        }
    });
    for (place, half) in HALVES.into_iter().enumerate() {
        let at = place * 2;
        let ((caught, lies), (wrong, truths)) = (totals[at], totals[at + 1]);
        println!(
            "{half} phrasings: recall {:.1} %, precision {:.1} %, true statements contradicted {:.2} %",
            per_cent(caught, lies),
            per_cent(caught, caught + wrong),
            per_cent(wrong, truths),
        );
    }
}

/// False and true statements about pairs that the graph knows, as other people say them. Each phrasing gets every third pair.
pub fn voices(core: &Core, pairs: &[(String, String, String)], show: Option<&str>) {
    println!(
        "\n## Statements in other people's words\n| set | voice | false: n | contradicted | supported | true: n | contradicted | supported |\n|---|---|---|---|---|---|---|---|"
    );
    for (set, voices) in
        [("first", &FIRST[..]), ("second", &SECOND[..]), ("third", &THIRD[..]), ("fourth", &FOURTH[..])]
    {
        for voice in voices {
            let [lies, truths] = voice_counts(core, pairs, voice, show);
            let (n, m): (usize, usize) = (lies.iter().sum(), truths.iter().sum());
            println!(
                "| {set} | {} | {n} | {:.1} % | {:.1} % | {m} | {:.2} % | {:.1} % |",
                voice.name,
                per_cent(lies[1], n),
                per_cent(lies[0], n),
                per_cent(truths[1], m),
                per_cent(truths[0], m)
            );
        }
    }
}

/// Verdicts on the false and on the true statements of a voice.
fn voice_counts(
    core: &Core,
    pairs: &[(String, String, String)],
    voice: &'static Voice,
    show: Option<&str>,
) -> [[usize; 3]; 2] {
    let mut out = [[0; 3]; 2];
    ask(core, pairs, |row, asked| {
        let phrasings = match row {
            0 | 1 => voice.denies,
            2 | 5 | 6 => voice.treats,
            3 => voice.safe,
            4 => voice.together,
            7 => voice.against,
            _ => voice.apart,
        };
        let asked = Asked { phrasings, seen: phrasings.len(), all_seen: phrasings.len(), ..*asked };
        let counts = asked.count(core, row, "seen", show);
        let sum = &mut out[usize::from(!asked.is_false)];
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
    });
    out
}

/// Doses within the label, ten times the maximum, and micrograms for milligrams.
pub fn doses(core: &Core, show: Option<&str>) {
    let graph = core.graph();
    let mut counts = [[0_usize; 3]; 4];
    for node in graph.nodes() {
        let Some(dose) =
            graph.doses(node).next().filter(|d| d.unit == knowledge::Unit::Milligram && d.max.is_finite())
        else {
            continue;
        };
        let name = graph.node(node).name;
        let (times, every) = match dose.per {
            knowledge::Per::Day => (2.0, "twice daily"),
            knowledge::Per::Week => (1.0, "once weekly"),
            knowledge::Per::Dose => (1.0, ""),
        };
        let route = if dose.route == knowledge::Route::Intravenous { "IV" } else { "" };
        let usual = (dose.high / times).min(dose.single_max);
        let statements = [
            format!("{name} {usual} mg {route} {every}"),
            format!("{name} {} mg {route} {every}", dose.max * 10.0 / times),
            format!("{name} {} g {route} {every}", usual),
            format!("{name} {} mcg {route} {every}", dose.low / times),
        ];
        for (at, text) in statements.iter().enumerate() {
            let found = core.claims(text);
            let found =
                found.iter().find(|c| c.kind == ClaimKind::Dose).map_or(Verdict::NotKnown, |c| c.verdict);
            counts[at][found as usize] += 1;
            let good = (at == 0) == (found == Verdict::Supported);
            if !good && show == Some("doses") {
                println!("   {found:?}: {text}");
            }
        }
    }
    println!("\n## Doses\n| stated | n | supported | contradicted | not known |\n|---|---|---|---|---|");
    for (name, counts) in
        ["largest usual dose", "ten times the maximum", "g for mg", "mcg for mg"].iter().zip(counts)
    {
        let n: usize = counts.iter().sum();
        let [s, c, u] = counts.map(|k| per_cent(k, n));
        println!("| {name} | {n} | {s:.1} % | {c:.1} % | {u:.1} % |");
    }
}
