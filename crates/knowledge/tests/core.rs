//! The core formulary that is shipped: whole, consistent, and right on statements that every clinician would check.

use knowledge::{ClaimKind, EdgeKind, Knowledge, NodeKind, Verdict};

/// Kind and verdict of every claim of a text.
fn verdicts(core: &Knowledge<Vec<u8>>, text: &str) -> Vec<(ClaimKind, Verdict)> {
    core.claims(text).into_iter().map(|c| (c.kind, c.verdict)).collect()
}

#[test]
fn names_of_interactions_and_classes_stand_for_entries() {
    let mut writer = knowledge::GraphWriter::new();
    let unresolved = knowledge::write_core(&mut writer).unwrap();
    let graph = knowledge::Graph::open(writer.finish().unwrap()).unwrap();
    println!(
        "{} nodes, {} names, {} edges, {} doses",
        graph.node_count(),
        graph.name_count(),
        graph.edge_count(),
        graph.dose_count()
    );
    println!("names without an entry: {unresolved:?}");
    let drugs = graph.nodes().filter(|n| graph.node(*n).kind == NodeKind::Drug);
    let full = drugs.filter(|n| {
        graph.doses(*n).count() > 0
            && graph.ancestors(*n).iter().any(|a| graph.edges_from(*a).any(|e| e.kind == EdgeKind::Indicates))
    });
    assert!(full.count() >= 300, "drugs with a dose and an indication");
    // A drug that an interaction names must be one that the formulary knows.
    for node in graph.nodes().filter(|n| graph.node(*n).kind == NodeKind::Drug) {
        let node = graph.node(node);
        assert!(
            !unresolved.iter().any(|u| u == node.name),
            "`{}` stands in an interaction and has no entry",
            node.name
        );
    }
}

#[test]
fn statements_that_every_clinician_would_check() {
    use Verdict::{Contradicted, NotKnown, Supported};
    let core = Knowledge::core().unwrap();
    for (text, kind, expected) in [
        ("Metformin treats type 2 diabetes.", ClaimKind::Treats, Supported),
        ("Metformin is first-line therapy for T2DM.", ClaimKind::Treats, Supported),
        ("Metformin does not treat type 2 diabetes.", ClaimKind::Treats, Contradicted),
        ("Propranolol is contraindicated in asthma.", ClaimKind::Contraindicated, Supported),
        ("Propranolol is safe in patients with asthma.", ClaimKind::Treats, Contradicted),
        ("Give propranolol to treat acute asthma attack.", ClaimKind::Treats, Contradicted),
        ("Amoxicillin cures the flu.", ClaimKind::Treats, Contradicted),
        ("Lisinopril can be used safely during pregnancy.", ClaimKind::Treats, Contradicted),
        ("Lisinopril should be avoided in pregnancy.", ClaimKind::Contraindicated, Supported),
        ("Sildenafil can be safely combined with nitroglycerin.", ClaimKind::Together, Contradicted),
        ("Sildenafil should not be taken with nitroglycerin.", ClaimKind::Together, Supported),
        ("Aspirin causes gastrointestinal bleeding.", ClaimKind::Causes, Supported),
        ("Gabapentin treats vitiligo.", ClaimKind::Treats, NotKnown),
        ("Metformin 1,000 mg four times daily was started.", ClaimKind::Dose, Contradicted),
        ("Metformin 500 mg twice daily was started.", ClaimKind::Dose, Supported),
        ("Levothyroxine 100 mg daily.", ClaimKind::Dose, Contradicted),
        ("Vaccines cause autism.", ClaimKind::Misinformation, Contradicted),
        ("Vaccines do not cause autism.", ClaimKind::Misinformation, Supported),
        ("A potassium of 6.8 mmol/L is normal.", ClaimKind::TestValue, Contradicted),
    ] {
        let found = verdicts(&core, text);
        assert!(found.contains(&(kind, expected)), "{text}: {found:?}");
    }
}

#[test]
fn nothing_is_claimed_by_names_alone() {
    let core = Knowledge::core().unwrap();
    for text in [
        "Medications: metformin, lisinopril, aspirin.",
        "Is metformin safe in severe renal impairment?",
        "The patient denies asthma and takes propranolol.",
        "Stop metformin and follow up in two weeks.",
    ] {
        let found = verdicts(&core, text);
        assert!(!found.iter().any(|(_, v)| *v == Verdict::Contradicted), "{text}: {found:?}");
    }
}
