//! A document of names and values, as JSON and YAML give it: a bounded tree, and what does not fit in it.

/// Most values that are kept as a tree. What comes later is only looked at one by one.
pub(crate) const NODES_MAX: usize = 100_000;
/// Deepest nesting. Python's own readers stop near 1,000.
pub(crate) const DEPTH_MAX: usize = 256;
/// Most names and values beyond the tree that are kept for a look.
const LATE_MAX: usize = 10_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a name can come twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value under a name; the last one where the name comes twice, as most readers do.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Map(items) => items.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text_at(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::text)
    }

    pub(crate) fn items(&self) -> &[(String, Node)] {
        if let Self::Map(items) = self { items } else { &[] }
    }

    pub(crate) fn list(&self) -> &[Node] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// A text, or the texts of a list.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().filter_map(Self::text).collect(),
            _ => Vec::new(),
        }
    }

    /// Every value below with the name it stands under (that of the list, for its elements), depth first.
    pub(crate) fn walk<'a>(&'a self, mut visit: impl FnMut(&'a str, &'a Node)) {
        let mut waiting: Vec<(&str, &Node)> = vec![("", self)];
        while let Some((name, node)) = waiting.pop() {
            visit(name, node);
            match node {
                Self::List(items) => waiting.extend(items.iter().rev().map(|i| (name, i))),
                Self::Map(items) => waiting.extend(items.iter().rev().map(|(n, v)| (n.as_str(), v))),
                _ => {}
            }
        }
    }
}

/// Builds a tree from events.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    open: Vec<Open>,
    nodes: usize,
    /// Depth of containers that are no longer kept.
    dropped: usize,
    /// Whether each container that is no longer kept is a map, and the name it waits under.
    late_open: Vec<(bool, Option<String>)>,
    document: Document,
}

#[derive(Debug)]
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The tree; several for several YAML documents in one file.
    pub(crate) roots: Vec<Node>,
    /// Names that come twice in one map.
    pub(crate) twice: Vec<String>,
    /// Names and texts beyond [`NODES_MAX`] that may matter.
    pub(crate) late: Vec<(String, String)>,
    /// True when more than that was left out.
    pub(crate) cut: bool,
}

impl Builder {
    /// A map or list begins.
    ///
    /// # Errors
    /// When it is nested too deep.
    pub(crate) fn begin(&mut self, map: bool) -> Result<(), String> {
        if self.open.len() + self.dropped >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        self.nodes += 1;
        if self.dropped > 0 || self.nodes > NODES_MAX {
            self.dropped += 1;
            self.late_open.push((map, None));
        } else {
            self.open.push(if map { Open::Map(Vec::new(), None) } else { Open::List(Vec::new()) });
        }
        Ok(())
    }

    pub(crate) fn end(&mut self) {
        if self.dropped > 0 {
            self.dropped -= 1;
            self.late_open.pop();
            if let Some((true, name)) = self.late_open.last_mut() {
                *name = None;
            }
            if self.dropped == 0
                && let Some(Open::Map(_, name)) = self.open.last_mut()
            {
                *name = None;
            }
            return;
        }
        let node = match self.open.pop() {
            Some(Open::List(items)) => Node::List(items),
            Some(Open::Map(items, _)) => Node::Map(items),
            None => return,
        };
        self.put(node);
    }

    /// Whether the next value is a name.
    pub(crate) fn wants_name(&self) -> bool {
        match self.late_open.last() {
            Some((map, name)) => *map && name.is_none(),
            None => matches!(self.open.last(), Some(Open::Map(_, None))),
        }
    }

    /// A name inside a map.
    pub(crate) fn name(&mut self, text: String) {
        if let Some((true, name)) = self.late_open.last_mut() {
            *name = Some(text);
        } else if let Some(Open::Map(_, name)) = self.open.last_mut() {
            *name = Some(text);
        }
    }

    /// A value that is no container.
    pub(crate) fn scalar(&mut self, node: Node) {
        self.nodes += 1;
        if self.dropped > 0 || self.nodes > NODES_MAX {
            let name = match self.late_open.last_mut() {
                Some((true, name)) => name.take().unwrap_or_default(),
                Some(_) => String::new(),
                None => match self.open.last_mut() {
                    Some(Open::Map(_, name)) => name.take().unwrap_or_default(),
                    _ => String::new(),
                },
            };
            if let Node::Text(text) = node
                && (super::jinja::is_template(&text)
                    || text.starts_with('$')
                    || text.contains("${")
                    || is_telling(&name))
            {
                if self.document.late.len() < LATE_MAX {
                    self.document.late.push((name, text));
                } else {
                    self.document.cut = true;
                }
            }
            return;
        }
        self.put(node);
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(items, name)) => items.push((name.take().unwrap_or_default(), node)),
            None => self.document.roots.push(node),
        }
    }

    /// The tree, with names that come twice.
    pub(crate) fn finish(mut self) -> Document {
        while !self.open.is_empty() || self.dropped > 0 {
            self.end();
        }
        let mut twice = Vec::new();
        for root in &self.document.roots {
            root.walk(|_, node| {
                let mut names: Vec<&str> =
                    node.items().iter().map(|(n, _)| n.as_str()).filter(|n| *n != "<<").collect();
                names.sort_unstable();
                let repeated = names.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0].to_owned());
                twice.extend(repeated.take(16));
            });
        }
        twice.truncate(64);
        self.document.twice = twice;
        self.document
    }
}

/// Names whose values say what is to be run or loaded.
pub(crate) fn is_telling(name: &str) -> bool {
    matches!(
        name,
        "_target_"
            | "target"
            | "class_path"
            | "__target__"
            | "chat_template"
            | "auto_map"
            | "weight_map"
            | "loader_module"
            | "__module__"
            | "__class__"
            | "__reduce__"
            | "handler"
            | "custom_pipelines"
            | "custom_generate"
    )
}
