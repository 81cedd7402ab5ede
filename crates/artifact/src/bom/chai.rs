//! The applied model card of the Coalition for Health AI, version 0.2 (XML): read, and checked as its XML Schema would.

use roxmltree::{Document, Node, ParsingOptions};

/// Largest card, bytes.
pub const CHAI_BYTES_MAX: usize = 4 << 20;
/// Elements of one card.
const NODES_MAX: u32 = 50_000;
/// Elements inside elements; the card needs six.
const DEPTH_MAX: usize = 32;
/// Namespace of the version read here.
const NAMESPACE: &str = "https://mc.chai.org/v0.2/schema.xsd";
/// Namespace of its optional signature.
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// How often an element may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Perhaps,
    Many,
    OnceOrMore,
}
use Times::{Many, Once, OnceOrMore, Perhaps};

/// An element: its name, how often it stands, and its children in order (none: text).
struct Element(&'static str, Times, &'static [Element]);

const METRIC: &[Element] = &[
    Element("MetricGoal", Once, &[]),
    Element(
        "Results",
        Once,
        &[Element(
            "MetricResult",
            OnceOrMore,
            &[Element("Label", Once, &[]), Element("ValueJson", Once, &[])],
        )],
    ),
    Element("Interpretation", Once, &[]),
    Element("TestType", Once, &[]),
    Element("TestingDataDescription", Once, &[]),
    Element("ValidationProcessAndJustification", Once, &[]),
];

/// The card's structure. Sequences as in the schema of version 0.2.
const CARD: &[Element] = &[
    Element(
        "BasicInfo",
        Once,
        &[
            Element("ModelName", Once, &[]),
            Element("ModelDeveloper", Once, &[]),
            Element("DeveloperContact", Once, &[]),
        ],
    ),
    Element(
        "ReleaseInfo",
        Once,
        &[
            Element("ReleaseStage", Once, &[]),
            Element("ReleaseDate", Once, &[]),
            Element("ReleaseVersion", Once, &[]),
            Element("GlobalAvailability", Once, &[]),
            Element("EHRCompatibility", Perhaps, &[Element("EHR", Many, &[])]),
            Element("RegulatoryApproval", Perhaps, &[]),
        ],
    ),
    Element(
        "ModelSummary",
        Once,
        &[Element("Summary", Once, &[]), Element("Keywords", Once, &[Element("Keyword", Many, &[])])],
    ),
    Element(
        "UsesAndDirections",
        Once,
        &[
            Element("IntendedUseAndWorkflow", Once, &[]),
            Element("PrimaryIntendedUsers", Once, &[]),
            Element("HowToUse", Once, &[]),
            Element("TargetedPatientPopulation", Once, &[]),
            Element("CautionedOutOfScopeSettings", Once, &[]),
        ],
    ),
    Element(
        "Warnings",
        Once,
        &[
            Element("KnownRisksAndLimitations", Once, &[]),
            Element("KnownBiasesOrEthicalConsiderations", Once, &[]),
            Element("ClinicalRiskLevel", Once, &[]),
        ],
    ),
    Element(
        "TrustIngredients",
        Once,
        &[
            Element(
                "AISystemFacts",
                Once,
                &[
                    Element("OutcomesAndOutputs", Once, &[]),
                    Element("ModelType", Once, &[]),
                    Element("FoundationModels", Perhaps, &[]),
                    Element("InputDataSource", Once, &[]),
                    Element("OutputAndInputDataTypes", Once, &[]),
                    Element("DevelopmentDataCharacterization", Once, &[]),
                    Element("BiasMitigationApproaches", Once, &[]),
                    Element("OngoingMaintenance", Once, &[]),
                    Element("Security", Perhaps, &[]),
                    Element("Transparency", Perhaps, &[]),
                ],
            ),
            Element(
                "TransparencyInformation",
                Once,
                &[
                    Element("FundingSource", Once, &[]),
                    Element("ThirdPartyInformation", Perhaps, &[]),
                    Element("StakeholdersConsulted", Once, &[]),
                ],
            ),
        ],
    ),
    Element(
        "KeyMetrics",
        Once,
        &[
            Element("UsefulnessUsabilityEfficacy", Once, METRIC),
            Element("FairnessEquity", Once, METRIC),
            Element("SafetyReliability", Once, METRIC),
        ],
    ),
    Element(
        "Resources",
        Once,
        &[
            Element("EvaluationReferences", Perhaps, &[]),
            Element("ClinicalTrial", Perhaps, &[]),
            Element("PeerReviewedPublications", Once, &[]),
            Element("ReimbursementStatus", Perhaps, &[]),
            Element("PatientConsentOrDisclosure", Once, &[]),
        ],
    ),
    Element("Bibliography", Once, &[]),
];

/// What a card says, as far as it can be compared with a file, and where it breaks its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChaiCard {
    /// Name of the model.
    pub name: String,
    /// Version released.
    pub version: String,
    /// Who made it.
    pub developer: String,
    /// Type of model, in the vendor's words.
    pub model_type: String,
    /// Inputs and outputs, in the vendor's words.
    pub data_types: String,
    /// Elements of the schema that are there without text.
    pub empty: Vec<String>,
    /// Violations of the schema: what and where.
    pub invalid: Vec<String>,
    /// Whether it carries an XML signature, which is not verified.
    pub signed: bool,
}

/// Reads a card.
///
/// # Errors
/// When it is no XML, declares a document type (entities could read files), or is not a card of version 0.2.
pub fn read_chai(text: &str) -> Result<ChaiCard, String> {
    if text.len() > CHAI_BYTES_MAX {
        return Err(format!("larger than {CHAI_BYTES_MAX} bytes: this is not a model card"));
    }
    if depth(text) > DEPTH_MAX {
        return Err(format!("elements nested deeper than {DEPTH_MAX}: this is not a model card"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|e| format!("not readable as XML: {e}"))?;
    let root = document.root_element();
    let name = root.tag_name();
    if name.name() != "AppliedModelCard" || name.namespace() != Some(NAMESPACE) {
        return Err(format!(
            "`{}` in `{}` is not a model card of the Coalition for Health AI, version 0.2 ({NAMESPACE})",
            name.name(),
            name.namespace().unwrap_or("no namespace")
        ));
    }
    let mut card = ChaiCard::default();
    sequence(root, CARD, "AppliedModelCard", &mut card);
    let text = |path: &[&str]| find(root, path).map(|n| all_text(n).trim().to_owned()).unwrap_or_default();
    card.name = text(&["BasicInfo", "ModelName"]);
    card.developer = text(&["BasicInfo", "ModelDeveloper"]);
    card.version = text(&["ReleaseInfo", "ReleaseVersion"]);
    card.model_type = text(&["TrustIngredients", "AISystemFacts", "ModelType"]);
    card.data_types = text(&["TrustIngredients", "AISystemFacts", "OutputAndInputDataTypes"]);
    Ok(card)
}

/// An upper bound of how deep elements nest, without parsing: opening tags less closing ones.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for piece in text.split('<').skip(1) {
        if piece.starts_with('/') {
            now = now.saturating_sub(1);
        } else if !piece.starts_with(['!', '?'])
            && !piece.split('>').next().unwrap_or_default().ends_with('/')
        {
            now += 1;
            most = most.max(now);
        }
    }
    most
}

fn find<'a>(node: Node<'a, 'a>, path: &[&str]) -> Option<Node<'a, 'a>> {
    path.iter().try_fold(node, |node, name| node.children().find(|c| c.has_tag_name((NAMESPACE, *name))))
}

fn all_text(node: Node<'_, '_>) -> String {
    node.children().filter_map(|c| c.text()).collect()
}

/// Checks the children of `node` against a sequence of the schema.
fn sequence(node: Node<'_, '_>, wanted: &'static [Element], path: &str, card: &mut ChaiCard) {
    if node.attributes().len() > 0 {
        card.invalid.push(format!("{path} has attributes, which the schema does not know"));
    }
    let mut children = node.children().filter(Node::is_element).peekable();
    for Element(name, times, inside) in wanted {
        let mut seen = 0;
        while children.peek().is_some_and(|c| c.has_tag_name((NAMESPACE, *name))) {
            let Some(child) = children.next() else { break };
            seen += 1;
            let here = format!("{path}/{name}");
            if seen == 2 && matches!(times, Once | Perhaps) {
                card.invalid.push(format!("{here} stands more than once"));
            }
            if inside.is_empty() {
                leaf(child, &here, card);
            } else {
                sequence(child, inside, &here, card);
            }
        }
        if seen == 0 && matches!(times, Once | OnceOrMore) {
            card.invalid.push(format!("{path}/{name} is missing or out of order"));
        }
    }
    for child in children {
        let name = child.tag_name();
        if path == "AppliedModelCard"
            && name.namespace() == Some(SIGNATURE)
            && name.name() == "Signature"
            && !card.signed
        {
            card.signed = true;
        } else {
            card.invalid.push(format!("{path}/{} is unknown, repeated or out of order", name.name()));
        }
    }
    let stray =
        node.children().filter(Node::is_text).any(|t| !t.text().unwrap_or_default().trim().is_empty());
    if stray {
        card.invalid.push(format!("{path} holds text between its elements"));
    }
}

fn leaf(node: Node<'_, '_>, path: &str, card: &mut ChaiCard) {
    if node.attributes().len() > 0 {
        card.invalid.push(format!("{path} has attributes, which the schema does not know"));
    }
    if node.children().any(|c| c.is_element()) {
        card.invalid.push(format!("{path} holds elements where the schema wants text"));
    } else if all_text(node).trim().is_empty() {
        card.empty.push(path.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_type_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
        assert!(read_chai(bomb).is_err());
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        assert!(read_chai(&deep).unwrap_err().contains("deeper"));
    }

    #[test]
    fn missing_and_unknown_elements_are_named() {
        let text = format!(
            "<AppliedModelCard xmlns=\"{NAMESPACE}\"><BasicInfo><ModelName>m</ModelName><Extra/></BasicInfo></AppliedModelCard>"
        );
        let card = read_chai(&text).unwrap();
        assert_eq!(card.name, "m");
        let said = card.invalid.join("\n");
        for part in
            ["BasicInfo/ModelDeveloper is missing", "BasicInfo/Extra is unknown", "Bibliography is missing"]
        {
            assert!(said.contains(part), "{said}");
        }
    }
}
