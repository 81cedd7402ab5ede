//! Jinja's statements to a bounded tree.

use super::ast::{Kind, Node};
use super::expressions::Parser;
use super::lexer::{Piece, Token, pieces};

/// Deepest nesting of statements.
const BLOCKS_MAX: u32 = 64;

/// Parses a template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, String> {
    let mut blocks = Blocks { pieces: pieces(source)?.into_iter().peekable() };
    let mut nodes = Vec::new();
    // A stray end tag stops Jinja; here the rest is read all the same, so that nothing hides behind it.
    while blocks.pieces.peek().is_some() {
        let (body, _) = blocks.until(&[], 0)?;
        nodes.extend(body);
    }
    Ok(nodes)
}

struct Blocks {
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece>>,
}

impl Blocks {
    /// Nodes up to a tag that begins with one of `ends`, and that tag.
    fn until(&mut self, ends: &[&str], depth: u32) -> Result<(Vec<Node>, Option<Vec<Token>>), String> {
        if depth > BLOCKS_MAX {
            return Err(format!("tags are nested deeper than {BLOCKS_MAX}"));
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(text) => nodes.push(Node::Text(text)),
                Piece::Print(at, tokens) => {
                    let mut parser = Parser::new(&tokens);
                    let expr = parser.tuple()?;
                    parser.end()?;
                    nodes.push(Node::Print(at, expr));
                }
                Piece::Tag(at, tokens) => {
                    let word = match tokens.first() {
                        Some(Token::Name(n)) => n.clone(),
                        _ => return Err("a tag without a name".to_owned()),
                    };
                    if ends.contains(&word.as_str()) {
                        return Ok((nodes, Some(tokens)));
                    }
                    self.statement(at, &word, &tokens, depth, &mut nodes)?;
                }
            }
        }
        if ends.is_empty() {
            Ok((nodes, None))
        } else {
            Err(format!("`{}` is missing", ends[ends.len() - 1]))
        }
    }

    fn statement(
        &mut self,
        at: usize,
        word: &str,
        tokens: &[Token],
        depth: u32,
        into: &mut Vec<Node>,
    ) -> Result<(), String> {
        let mut parser = Parser::new(tokens.get(1..).unwrap_or_default());
        let inner = depth + 1;
        match word {
            "if" => into.push(self.conditional(at, parser, inner)?),
            "for" => into.push(self.repeat(at, parser, inner)?),
            "set" => {
                let mut targets = vec![parser.target()?];
                while parser.take(",") {
                    targets.push(parser.target()?);
                }
                if parser.take("=") {
                    let value = parser.tuple()?;
                    into.push(Node::Set(at, targets, value));
                } else {
                    let target = targets.swap_remove(0);
                    let target = parser.filters_of(target)?;
                    let (body, _) = self.until(&["endset"], inner)?;
                    into.push(Node::SetBlock(at, target, body));
                }
            }
            "macro" => {
                let name = parser.name()?;
                let parameters = parser.parameters()?;
                let (body, _) = self.until(&["endmacro"], inner)?;
                into.push(Node::Macro { name, parameters, body });
            }
            "include" | "import" | "extends" | "from" => {
                let value = parser.expression()?;
                into.push(Node::Load(at, value));
            }
            "call" => {
                if parser.peek("(") {
                    parser.parameters()?;
                }
                let call = parser.expression()?;
                let (body, _) = self.until(&["endcall"], inner)?;
                into.push(Node::Block(at, vec![call], body));
            }
            "filter" => {
                let subject = parser.make(Kind::Text(String::new()))?;
                let filtered = parser.filter_chain(subject, true)?;
                let (body, _) = self.until(&["endfilter"], inner)?;
                into.push(Node::Block(at, vec![filtered], body));
            }
            "with" => {
                let mut nodes = Vec::new();
                while !parser.is_done() {
                    let target = parser.target()?;
                    if parser.take("=") {
                        let value = parser.expression()?;
                        nodes.push(Node::Set(at, vec![target], value));
                    }
                    parser.take(",");
                }
                let (body, _) = self.until(&["endwith"], inner)?;
                nodes.extend(body);
                into.push(Node::Block(at, Vec::new(), nodes));
            }
            "generation" | "autoescape" | "block" | "trans" => {
                let end = format!("end{word}");
                let (body, _) = self.until(&[&end], inner)?;
                into.push(Node::Block(at, Vec::new(), body));
            }
            "do" | "print" => {
                let value = parser.tuple()?;
                into.push(Node::Block(at, vec![value], Vec::new()));
            }
            // End tags without a beginning, `break`, `continue`, and tags of extensions: what they hold is looked at.
            _ => {
                let mut values = Vec::new();
                while !parser.is_done() {
                    match parser.expression() {
                        Ok(value) => values.push(value),
                        Err(_) => parser.skip(),
                    }
                }
                into.push(Node::Block(at, values, Vec::new()));
            }
        }
        Ok(())
    }

    fn conditional(&mut self, at: usize, mut parser: Parser<'_>, depth: u32) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = Some(parser.tuple()?);
        loop {
            let (body, end) = self.until(&["elif", "else", "endif"], depth)?;
            branches.push((condition, body));
            let tokens = end.unwrap_or_default();
            match tokens.first() {
                Some(Token::Name(n)) if n == "elif" => {
                    condition = Some(Parser::new(tokens.get(1..).unwrap_or_default()).tuple()?);
                }
                Some(Token::Name(n)) if n == "else" => condition = None,
                _ => return Ok(Node::If(at, branches)),
            }
        }
    }

    fn repeat(&mut self, at: usize, mut parser: Parser<'_>, depth: u32) -> Result<Node, String> {
        let mut targets = vec![parser.target()?];
        while parser.take(",") {
            targets.push(parser.target()?);
        }
        if !parser.take_name("in") {
            return Err("`in` is missing in `for`".to_owned());
        }
        let over = parser.tuple_without_choice()?;
        let only = if parser.take_name("if") { Some(parser.tuple()?) } else { None };
        parser.take_name("recursive");
        let (body, end) = self.until(&["else", "endfor"], depth)?;
        let mut otherwise = Vec::new();
        if matches!(end.as_deref().and_then(|t| t.first()), Some(Token::Name(n)) if n == "else") {
            otherwise = self.until(&["endfor"], depth)?.0;
        }
        Ok(Node::For { at, targets, over, only, body, otherwise })
    }
}
