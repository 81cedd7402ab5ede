//! The core formulary: what is shipped of drugs, conditions and measurements, read from `catalog/formulary`.
//!
//! A hospital's own additions have the same form. Each field of a drug is a heading of its label, so each fact has its source
//! without repeating it; uses beyond the label name the guideline after a bar.

use std::collections::HashMap;

use serde::Deserialize;

use crate::dose::amount::DoseLine;
use crate::error::GraphError;
use crate::graph::{DoseFact, Fact, GraphWriter, NodeRef, SourceRef};
use crate::kind::{EdgeKind, NodeKind, Severity};

/// One file of a formulary.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    class: Vec<Entry>,
    #[serde(default)]
    drug: Vec<Entry>,
    #[serde(default)]
    product: Vec<Product>,
    #[serde(default)]
    condition: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    name: String,
    class: Vec<String>,
    brands: Vec<String>,
    also: Vec<String>,
    treats: Vec<String>,
    accepted: Vec<String>,
    symptom: Vec<String>,
    prevents: Vec<String>,
    avoid: Vec<String>,
    caution: Vec<String>,
    useless: Vec<String>,
    causes: Vec<String>,
    never: Vec<String>,
    severe: Vec<String>,
    dose: Vec<String>,
    pregnancy: String,
    renal: String,
    label: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    name: String,
    #[serde(default)]
    brands: Vec<String>,
    of: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    name: String,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    is_a: Vec<String>,
}

/// Reads sheets into a graph: first everything that has a name, then what is said of it.
pub struct FormularyReader<'w> {
    writer: &'w mut GraphWriter,
    names: HashMap<String, NodeRef>,
    entries: Vec<(NodeRef, Entry)>,
    products: Vec<(NodeRef, Product)>,
    conditions: Vec<(NodeRef, Condition)>,
    judged: Vec<(&'static str, EdgeKind, &'static str)>,
    label: SourceRef,
    own: SourceRef,
    guideline: SourceRef,
    /// Names that stand for no entry and were made conditions or drugs of their own.
    pub unresolved: Vec<String>,
}

/// Citation of a physicians' judgement of one pair.
pub(crate) const PHYSICIANS: &str = "physicians' judgement";

fn key(name: &str) -> String {
    crate::fold::folded_words(name).join(" ")
}

fn slug(name: &str) -> String {
    key(name).replace(' ', "-")
}

impl<'w> FormularyReader<'w> {
    /// A reader that adds to a graph.
    ///
    /// # Errors
    /// When the graph is full.
    pub fn new(writer: &'w mut GraphWriter) -> Result<Self, GraphError> {
        let own_licence = "MIT OR Apache-2.0";
        let label =
            writer.source("FDA label", "see cite", "public domain", "https://dailymed.nlm.nih.gov")?;
        let own = writer.source("core formulary", "1", own_licence, "catalog/formulary")?;
        let guideline =
            writer.source("guideline or reference", "see cite", own_licence, "catalog/formulary")?;
        let (names, entries, products, conditions) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        let (judged, unresolved) = (Vec::new(), Vec::new());
        Ok(Self { writer, names, entries, products, conditions, judged, label, own, guideline, unresolved })
    }

    fn named(
        &mut self,
        prefix: &str,
        name: &str,
        kind: NodeKind,
        more: &[&[String]],
    ) -> Result<NodeRef, GraphError> {
        let node = self.writer.node(&format!("{prefix}:{}", slug(name)), name, kind)?;
        self.names.entry(key(name)).or_insert(node);
        for other in more.iter().copied().flatten() {
            self.writer.name(node, other)?;
            self.names.entry(key(other)).or_insert(node);
        }
        Ok(node)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When it is not TOML of this form, or the graph is full.
    pub fn read(&mut self, file: &str, text: &str) -> Result<(), GraphError> {
        let wrong = |e: toml::de::Error| GraphError::Formulary {
            file: file.to_owned(),
            why: e.to_string().lines().collect::<Vec<_>>().join(" "),
        };
        let sheet: Sheet = toml::from_str(text).map_err(wrong)?;
        for entry in sheet.class {
            let node = self.named("class", &entry.name, NodeKind::Class, &[&entry.also, &entry.brands])?;
            self.entries.push((node, entry));
        }
        for entry in sheet.drug {
            let node = self.named("drug", &entry.name, NodeKind::Drug, &[&entry.also, &entry.brands])?;
            self.entries.push((node, entry));
        }
        for product in sheet.product {
            let node = self.named("product", &product.name, NodeKind::Product, &[&product.brands])?;
            self.products.push((node, product));
        }
        for condition in sheet.condition {
            let node = self.named("condition", &condition.name, NodeKind::Disease, &[&condition.also])?;
            self.conditions.push((node, condition));
        }
        Ok(())
    }

    /// The node of a name of a condition; made now if nothing is called so.
    fn condition(&mut self, name: &str) -> Result<NodeRef, GraphError> {
        if let Some(node) = self.names.get(&key(name)) {
            return Ok(*node);
        }
        self.unresolved.push(name.to_owned());
        self.named("condition", name, NodeKind::Disease, &[])
    }

    fn substance(&mut self, name: &str) -> Result<NodeRef, GraphError> {
        if let Some(node) = self.names.get(&key(name)) {
            return Ok(*node);
        }
        self.unresolved.push(name.to_owned());
        self.named("drug", name, NodeKind::Drug, &[])
    }

    /// Keeps drug, disease and category (`DM`, `SYM`, `NOT`) of PharmacotherapyDB for [`FormularyReader::finish`].
    ///
    /// # Errors
    /// When a line has not three columns.
    pub fn pairs(&mut self, table: &'static str) -> Result<(), GraphError> {
        for line in table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
            let columns: Vec<&str> = line.split('\t').collect();
            let (&[drug, disease, _], Some(kind)) =
                (columns.as_slice(), columns.get(2).and_then(|c| pair_kind(c)))
            else {
                return Err(GraphError::Formulary {
                    file: "pharmacotherapydb.tsv".to_owned(),
                    why: format!("line `{line}`"),
                });
            };
            self.judged.push((drug, kind, disease));
        }
        Ok(())
    }

    fn judged_pairs(&mut self) -> Result<(), GraphError> {
        let url = "https://doi.org/10.6084/m9.figshare.3103054";
        let source = self.writer.source("PharmacotherapyDB", "1.0", "CC0-1.0", url)?;
        for (drug, kind, disease) in std::mem::take(&mut self.judged) {
            let drug = match self.names.get(&key(drug)) {
                Some(known) => *known,
                None => self.named("drug", drug, NodeKind::Drug, &[])?,
            };
            let disease = match self.names.get(&key(disease)) {
                Some(known) => *known,
                None => self.named("condition", disease, NodeKind::Disease, &[])?,
            };
            self.writer.edge(Fact::new(drug, kind, disease, source).cite(PHYSICIANS))?;
        }
        Ok(())
    }

    /// Writes what the files say of each other's names.
    ///
    /// # Errors
    /// When a dose line cannot be read, or the graph is full.
    pub fn finish(mut self) -> Result<Vec<String>, GraphError> {
        for (node, condition) in std::mem::take(&mut self.conditions) {
            for parent in &condition.is_a {
                let parent = self.condition(parent)?;
                self.writer.edge(Fact::new(node, EdgeKind::IsA, parent, self.own))?;
            }
        }
        for (node, entry) in std::mem::take(&mut self.entries) {
            self.entry(node, &entry)?;
        }
        for (node, product) in std::mem::take(&mut self.products) {
            for part in &product.of {
                let part = self.substance(part)?;
                self.writer.edge(Fact::new(node, EdgeKind::HasIngredient, part, self.own))?;
            }
        }
        self.judged_pairs()?;
        Ok(self.unresolved)
    }

    fn entry(&mut self, node: NodeRef, entry: &Entry) -> Result<(), GraphError> {
        let set =
            if entry.label.is_empty() { format!("{} (class)", entry.name) } else { entry.label.clone() };
        for class in &entry.class {
            let class = match self.names.get(&key(class)) {
                Some(known) => *known,
                None => self.named("class", class, NodeKind::Class, &[])?,
            };
            self.writer.edge(Fact::new(node, EdgeKind::IsA, class, self.own))?;
        }
        for (kind, heading, names) in [
            (EdgeKind::Indicates, "Indications and Usage", &entry.treats),
            (EdgeKind::Indicates, "", &entry.accepted),
            (EdgeKind::TreatsSymptom, "Indications and Usage", &entry.symptom),
            (EdgeKind::Prevents, "Indications and Usage", &entry.prevents),
            (EdgeKind::Contraindicated, "Contraindications or Boxed Warning", &entry.avoid),
            (EdgeKind::Caution, "Warnings and Precautions", &entry.caution),
            (EdgeKind::NotIndicated, "", &entry.useless),
            (EdgeKind::Causes, "Warnings or Adverse Reactions", &entry.causes),
        ] {
            for name in names {
                self.about(node, kind, name, &set, heading)?;
            }
        }
        for (severity, names) in
            [(Severity::Contraindicated, &entry.never), (Severity::Severe, &entry.severe)]
        {
            for name in names {
                let (name, cite) = split_cite(name, &set, "Drug Interactions");
                let other = self.substance(name)?;
                for (from, to) in [(node, other), (other, node)] {
                    self.writer.edge(
                        Fact::new(from, EdgeKind::Interacts, to, self.label).severity(severity).cite(&cite),
                    )?;
                }
            }
        }
        self.population(node, &entry.pregnancy, "pregnancy", &set, "Pregnancy")?;
        self.population(node, &entry.renal, "severe renal impairment", &set, "Renal Impairment")?;
        for line in &entry.dose {
            self.dose(node, line, &set)?;
        }
        Ok(())
    }

    /// `name`, or `name | source`: without a source it is the label's heading.
    fn about(
        &mut self,
        node: NodeRef,
        kind: EdgeKind,
        name: &str,
        set: &str,
        heading: &str,
    ) -> Result<(), GraphError> {
        let from_label = !name.contains('|') && !heading.is_empty();
        let (name, cite) =
            split_cite(name, set, if heading.is_empty() { "general pharmacology" } else { heading });
        let other = self.condition(name)?;
        let source = if from_label { self.label } else { self.guideline };
        self.writer.edge(Fact::new(node, kind, other, source).cite(&cite))
    }

    /// `contraindicated: why`, or a sentence of care.
    fn population(
        &mut self,
        node: NodeRef,
        note: &str,
        who: &str,
        set: &str,
        heading: &str,
    ) -> Result<(), GraphError> {
        if note.is_empty() {
            return Ok(());
        }
        let kind =
            if note.starts_with("contraindicated") { EdgeKind::Contraindicated } else { EdgeKind::Caution };
        let other = self.condition(who)?;
        self.writer.edge(Fact::new(node, kind, other, self.label).cite(&format!("{set}: {heading}: {note}")))
    }

    fn dose(&mut self, drug: NodeRef, line: &str, set: &str) -> Result<(), GraphError> {
        let dose: DoseLine =
            line.parse().map_err(|why: String| GraphError::Formulary { file: set.to_owned(), why })?;
        let cite = format!("{set}: Dosage and Administration");
        self.writer.dose(DoseFact {
            drug,
            route: dose.route,
            unit: dose.unit,
            per: dose.per,
            low: dose.low,
            high: dose.high,
            max: dose.max,
            single_max: dose.single_max,
            source: self.label,
            cite: &cite,
        })
    }
}

fn pair_kind(category: &str) -> Option<EdgeKind> {
    match category {
        "DM" => Some(EdgeKind::Indicates),
        "SYM" => Some(EdgeKind::TreatsSymptom),
        "NOT" => Some(EdgeKind::NotIndicated),
        _ => None,
    }
}

fn split_cite<'a>(name: &'a str, set: &str, heading: &str) -> (&'a str, String) {
    match name.split_once('|') {
        Some((name, cite)) => (name.trim(), cite.trim().to_owned()),
        None => (name, format!("{set}: {heading}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    const SHEET: &str = r#"
[[class]]
name = "biguanide"
[[drug]]
name = "metformin"
class = ["biguanide"]
brands = ["Glucophage"]
treats = ["type 2 diabetes mellitus"]
accepted = ["polycystic ovary syndrome | international PCOS guideline 2023"]
avoid = ["metabolic acidosis"]
dose = ["oral 500-2000 mg/day max 2550"]
pregnancy = "no clear risk"
renal = "contraindicated: eGFR below 30"
label = "metformin tablets"
[[condition]]
name = "type 2 diabetes mellitus"
also = ["T2DM"]
is_a = ["diabetes mellitus"]
"#;

    #[test]
    fn every_fact_has_its_source() {
        let mut writer = GraphWriter::new();
        let mut reader = FormularyReader::new(&mut writer).unwrap();
        reader.read("test.toml", SHEET).unwrap();
        reader.finish().unwrap();
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let metformin = graph.find("drug:metformin").unwrap();
        let said: Vec<String> = graph
            .edges_from(metformin)
            .map(|e| {
                format!(
                    "{} {} ({}: {})",
                    e.kind.word(),
                    graph.node(e.to).name,
                    graph.source(e.source).name,
                    e.cite
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                "indicates type 2 diabetes mellitus (FDA label: metformin tablets: Indications and Usage)",
                "indicates polycystic ovary syndrome (guideline or reference: international PCOS guideline 2023)",
                "contraindicated metabolic acidosis (FDA label: metformin tablets: Contraindications or Boxed Warning)",
                "contraindicated severe renal impairment (FDA label: metformin tablets: Renal Impairment: contraindicated: eGFR below 30)",
                "is-a biguanide (core formulary: )",
                "caution pregnancy (FDA label: metformin tablets: Pregnancy: no clear risk)",
            ]
        );
    }

    #[test]
    fn a_wrong_key_or_dose_is_named() {
        let mut writer = GraphWriter::new();
        let mut reader = FormularyReader::new(&mut writer).unwrap();
        let error = reader.read("own.toml", "[[drug]]\nname = \"x\"\ntreat = []\n").unwrap_err();
        assert!(error.to_string().contains("own.toml") && error.to_string().contains("treat"), "{error}");
        reader.read("own.toml", "[[drug]]\nname = \"x\"\ndose = [\"oral much\"]\n").unwrap();
        assert!(reader.finish().unwrap_err().to_string().contains("oral much"));
    }
}
