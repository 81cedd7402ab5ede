//! YAML by events: aliases are counted, never unfolded; tags are noted.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::document::{Builder, Document, Node};

/// Longest YAML that is read, bytes.
pub(crate) const BYTES_MAX: u64 = 8 << 20;
/// Most tags that are kept.
const TAGS_MAX: usize = 256;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Yaml {
    pub(crate) document: Document,
    /// Tags of a language or program, as `!!python/name:os.system`, each with the text it stands before.
    pub(crate) tags: Vec<(String, String)>,
    /// Values there would be if every alias were unfolded.
    pub(crate) unfolded: u128,
    /// Values there are.
    pub(crate) nodes: u128,
    /// Where and why reading stopped.
    pub(crate) broken: Option<(u64, String)>,
}

/// Reads YAML; a document that breaks off is returned as far as it goes.
pub(crate) fn read(text: &str) -> Yaml {
    let mut yaml = Yaml::default();
    let mut builder = Builder::default();
    // Sizes of what the anchors hold, and of the containers that are open: anchor and size so far.
    let mut anchors: Vec<u128> = Vec::new();
    let mut open: Vec<(usize, u128)> = vec![(0, 0)];
    for event in Parser::new_from_str(text) {
        let event = match event {
            Ok((event, _)) => event,
            Err(e) => {
                yaml.broken = Some((e.marker().index() as u64, e.info().to_owned()));
                break;
            }
        };
        let added = match event {
            Event::Scalar(value, style, anchor, tag) => {
                yaml.nodes += 1;
                if let Some(tag) = tag {
                    note(&mut yaml.tags, &format!("{}{}", tag.handle, tag.suffix), &value);
                }
                keep(&mut anchors, anchor, 1);
                if builder.wants_name() {
                    builder.name(value.into_owned());
                } else {
                    builder.scalar(scalar(value.into_owned(), style));
                }
                1
            }
            Event::Alias(anchor) => {
                yaml.nodes += 1;
                if builder.wants_name() {
                    builder.name("*".to_owned());
                } else {
                    builder.scalar(Node::Null);
                }
                anchors.get(anchor).copied().unwrap_or(1)
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) if builder.wants_name() => {
                // A list or map as a name: rare, and no program here uses it.
                let _ = (anchor, tag);
                yaml.broken = Some((0, "a list or map stands where a name is expected".to_owned()));
                break;
            }
            Event::SequenceStart(anchor, tag) => {
                yaml.nodes += 1;
                if let Some(tag) = tag {
                    note(&mut yaml.tags, &format!("{}{}", tag.handle, tag.suffix), "");
                }
                if let Err(reason) = builder.begin(false) {
                    yaml.broken = Some((0, reason));
                    break;
                }
                open.push((anchor, 1));
                0
            }
            Event::MappingStart(anchor, tag) => {
                yaml.nodes += 1;
                if let Some(tag) = tag {
                    note(&mut yaml.tags, &format!("{}{}", tag.handle, tag.suffix), "");
                }
                if let Err(reason) = builder.begin(true) {
                    yaml.broken = Some((0, reason));
                    break;
                }
                open.push((anchor, 1));
                0
            }
            Event::SequenceEnd | Event::MappingEnd => {
                builder.end();
                let (anchor, size) = open.pop().unwrap_or_default();
                keep(&mut anchors, anchor, size);
                size
            }
            _ => 0,
        };
        if let Some(last) = open.last_mut() {
            last.1 = last.1.saturating_add(added);
        }
    }
    yaml.unfolded = open.iter().fold(0, |sum: u128, (_, size)| sum.saturating_add(*size));
    yaml.document = builder.finish();
    yaml
}

/// Most anchors that are counted.
const ANCHORS_MAX: usize = 1 << 20;

fn keep(anchors: &mut Vec<u128>, anchor: usize, size: u128) {
    if anchor == 0 || anchor > ANCHORS_MAX {
        return;
    }
    if anchors.len() <= anchor {
        anchors.resize(anchor + 1, 1);
    }
    if let Some(slot) = anchors.get_mut(anchor) {
        *slot = size;
    }
}

fn note(tags: &mut Vec<(String, String)>, tag: &str, value: &str) {
    if tags.len() < TAGS_MAX && !is_core(tag) {
        tags.push((tag.to_owned(), value.chars().take(200).collect()));
    }
}

/// Tags of YAML itself.
fn is_core(tag: &str) -> bool {
    let kind = tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag);
    matches!(
        kind,
        "!" | "str"
            | "int"
            | "float"
            | "bool"
            | "null"
            | "map"
            | "seq"
            | "set"
            | "omap"
            | "pairs"
            | "binary"
            | "timestamp"
            | "merge"
            | "value"
    )
}

fn scalar(value: String, style: ScalarStyle) -> Node {
    if style != ScalarStyle::Plain {
        return Node::Text(value);
    }
    match value.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "on" | "On" => Node::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "off" | "Off" => Node::Bool(false),
        _ if value.parse::<f64>().is_ok() => Node::Number(value),
        _ => Node::Text(value),
    }
}
