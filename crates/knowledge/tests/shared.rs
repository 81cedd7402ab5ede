//! The core formulary against public sources that are not shipped. Without them (`$ASEPSIS_SHARED`, default `../shared` beside the
//! repository) each test says so and checks nothing.
#![expect(clippy::print_stdout, reason = "reports what differs")]

use std::collections::HashMap;
use std::path::PathBuf;

use knowledge::{EdgeKind, Graph, Knowledge, NodeId, Per, Route, Severity, Unit, Verdict, build};

fn rows(file: &str) -> Option<Vec<HashMap<String, String>>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("ASEPSIS_SHARED").map_or(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("data/knowledge").join(file)) else {
        println!("SKIPPED: {file} is not there");
        return None;
    };
    let mut lines = text.lines();
    let header: Vec<String> = lines.next()?.split('\t').map(str::to_owned).collect();
    Some(lines.map(|l| header.iter().cloned().zip(l.split('\t').map(str::to_owned)).collect()).collect())
}

/// Drug of a name, if the formulary has it.
fn drug(core: &Knowledge<Vec<u8>>, name: &str) -> Option<NodeId> {
    core.linker().lookup(name).filter(|n| core.graph().node(*n).kind == knowledge::NodeKind::Drug)
}

#[test]
fn no_tablet_on_the_market_holds_more_than_the_maximum_of_a_day() {
    let Some(rows) = rows("rxnorm_oral_strengths.tsv") else { return };
    let core = Knowledge::core().unwrap();
    let (mut compared, mut beyond) = (0, Vec::new());
    for row in rows.iter().filter(|r| r["unit"] == "MG") {
        let Some(drug) = drug(&core, &row["ingredient"]) else { continue };
        let oral = |d: &knowledge::Dose<'_>| {
            d.route == Route::Oral && d.unit == Unit::Milligram && d.max.is_finite()
        };
        let Some(dose) = core.graph().doses(drug).find(oral) else { continue };
        let strength: f64 = row["max"].parse().unwrap();
        compared += 1;
        let most = if dose.per == Per::Day { dose.max } else { dose.max.max(dose.single_max.min(f64::MAX)) };
        if strength > most * 1.02 {
            beyond.push(format!("{} {strength} mg, maximum {most}", row["ingredient"]));
        }
    }
    println!("strengths: {compared} compared, {} beyond the maximum: {beyond:?}", beyond.len());
    assert!(compared >= 250 && beyond.len() * 20 <= compared, "{} of {compared}", beyond.len());
}

#[test]
fn physicians_pairs_are_not_contradicted_by_the_sheets() {
    let Some(rows) = rows("indications_pharmacotherapydb.tsv") else { return };
    let mut writer = knowledge::GraphWriter::new();
    let mut reader = knowledge::FormularyReader::new(&mut writer).unwrap();
    for (file, text) in knowledge::SHEETS {
        reader.read(file, text).unwrap();
    }
    reader.finish().unwrap();
    let sheets = Knowledge::new(Graph::open(writer.finish().unwrap()).unwrap());
    let (mut all, mut wrong, mut right) = (0, Vec::new(), 0);
    for row in rows.iter().filter(|r| r["category"] == "DM") {
        let text = format!("{} is used to treat {}.", row["drug"], row["disease"]);
        let claims = sheets.claims(&text);
        all += 1;
        right += usize::from(claims.iter().any(|c| c.verdict == Verdict::Supported));
        if claims.iter().any(|c| c.verdict == Verdict::Contradicted) {
            wrong.push(text);
        }
    }
    println!(
        "physicians: {all} disease-modifying pairs, {right} supported, {} contradicted: {wrong:?}",
        wrong.len()
    );
    assert!(wrong.len() * 50 <= all && right * 4 >= all * 3);
}

#[test]
fn indications_of_four_resources_are_seldom_contradicted() {
    let Some(rows) = rows("indications_4resources.tsv") else { return };
    let core = Knowledge::core().unwrap();
    let mut counts: HashMap<&str, [usize; 3]> = HashMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let text = format!("{} is used to treat {}.", row["drugbank_name"], row["doid_name"]);
        let claims = core.claims(&text);
        let has = |v| claims.iter().any(|c| c.verdict == v);
        let verdict = if has(Verdict::Contradicted) { 1 } else { usize::from(!has(Verdict::Supported)) * 2 };
        counts.entry(row["resource"].as_str()).or_default()[verdict] += 1;
        if verdict == 1 && row["resource"] == "labeledin" {
            wrong.push(text);
        }
    }
    println!("four resources [supported, contradicted, not known]: {counts:?}; of labels: {wrong:?}");
    let [supported, contradicted, _] = counts["labeledin"];
    assert!(contradicted * 20 <= supported, "{contradicted} against {supported}");
}

#[test]
fn interactions_of_the_formulary_are_known_elsewhere() {
    let Some(rows) = rows("ddi_public_sources.tsv") else { return };
    let core = Knowledge::core().unwrap();
    let graph = core.graph();
    let Some(nodes) = crate::rows("hetionet_nodes.tsv") else { return };
    let named = |n: &HashMap<String, String>| {
        let id = n["id"].strip_prefix("Compound::")?.to_owned();
        Some((id, drug(&core, &n["name"])?))
    };
    let by_id: HashMap<String, NodeId> = nodes.iter().filter_map(named).collect();
    let end = |address: &str| by_id.get(address.rsplit(':').next()?).copied();
    let mut theirs = std::collections::HashSet::new();
    for row in &rows {
        if let (Some(a), Some(b)) = (end(&row["drug1"]), end(&row["drug2"])) {
            theirs.insert((a.min(b), a.max(b)));
        }
    }
    let (mut ours, mut shared) = (0, 0);
    for node in graph.nodes() {
        for edge in graph
            .edges_from(node)
            .filter(|e| e.kind == EdgeKind::Interacts && e.severity >= Severity::Severe && node < e.to)
        {
            if graph.node(node).kind == knowledge::NodeKind::Drug
                && graph.node(edge.to).kind == knowledge::NodeKind::Drug
            {
                ours += 1;
                shared += usize::from(theirs.contains(&(node, edge.to)));
            }
        }
    }
    println!(
        "interactions: {ours} pairs of drugs in the formulary, {shared} of them in a public source of {}",
        theirs.len()
    );
    assert!(theirs.len() > 500 && shared * 2 >= ours, "{shared} of {ours}");
}

#[test]
fn published_tables_are_built_line_by_line() {
    let Some(_) = rows("hetionet_nodes.tsv") else { return };
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("ASEPSIS_SHARED").map_or(beside, PathBuf::from).join("data/knowledge");
    let mut writer = knowledge::GraphWriter::new();
    let built =
        build::hetionet_nodes(&mut writer, &std::fs::read(folder.join("hetionet_nodes.tsv")).unwrap())
            .unwrap();
    assert!(built.used > 8_000, "{built:?}");
    let mapping = build::Mapping {
        id: "drugbank_id".into(),
        name: "drug".into(),
        to_id: "doid_id".into(),
        to_name: "disease".into(),
        relation_column: "category".into(),
        ..build::Mapping::default()
    };
    let own = build::Provenance { name: "PharmacotherapyDB", version: "1.0", licence: "CC0-1.0", url: "" };
    let bytes = std::fs::read(folder.join("indications_pharmacotherapydb.tsv")).unwrap();
    let built = build::table(&mut writer, &bytes, &mapping, &own).unwrap();
    assert_eq!(built.used + 1, built.lines, "{:?}", built.problems);
    Graph::open(writer.finish().unwrap()).unwrap();
}
