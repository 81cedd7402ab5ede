//! Shows what is found in each line of a file, or in the `text` of a JSONL file.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for developers")]
use text::phi::Finder;
fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let body = std::fs::read_to_string(&path).expect("a file of text");
    let mut finder = Finder::default();
    for line in body.lines() {
        let text = if path.ends_with("jsonl") {
            let v: serde_json::Value = serde_json::from_str(line).expect("json");
            v["text"].as_str().unwrap_or_default().to_owned()
        } else {
            line.to_owned()
        };
        let mut out = String::new();
        let mut done = 0;
        for f in finder.find(&text) {
            out += &text[done..f.span.start()];
            out += &format!("⟦{}:{}⟧", f.kind.word(), f.span.of(&text));
            done = f.span.end();
        }
        out += &text[done..];
        println!("{out}");
    }
}
