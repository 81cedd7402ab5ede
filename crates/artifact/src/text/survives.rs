//! Whatever the bytes, every reader of text comes to an end.

use crate::{Limits, scan};

/// One text of each kind, to be damaged.
const SEEDS: [(&str, &str); 10] = [
    (
        "x.jinja",
        "{% for m in messages if 'a' in m.content %}{{ '%s' % (m|attr('x'))[1:-1] ~ {'a': [1]}['a'] }}{% else %}{% endfor %}",
    ),
    (
        "x.jinja",
        "{% macro f(a, b=1) %}{% set ns = namespace(x=0) %}{% set ns.x = a ** 2 %}{{ f(ns.x) if b is defined }}{% endmacro %}{# c #}{{ f(1) }}",
    ),
    (
        "x.json",
        "{\"a\": [1, -2.5e3, null, true, \"\\u00e9\\ud83d\\ude00\"], \"_target_\": \"a.b\", \"c\": \"$@x#0 + 1\"}",
    ),
    (
        "x.json",
        "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"!ls\", \"import os\"]}], \"nbformat\": 4}",
    ),
    (
        "x.yaml",
        "%YAML 1.2\n---\na: &b [1, 'x', \"y\"]\nc: {<<: *b, d: !!python/name:x.y }\ne: |\n  text\n? f\n: g\n",
    ),
    (
        "x.py",
        "import os as o, sys\nclass A(B, metaclass=C):\n    @d\n    async def f(self, *a: int, b=lambda x: x, **k) -> 'C':\n        return f'{a!r:>{b}}' if a else [x for x in b if x][1:-1]\n",
    ),
    (
        "x.py",
        "x = '''a''' + r'\\d' + b'\\x00'; y: int = 0x1f ** 2\nwith a as b, c:\n\tpass\nexec(''.join(map(chr, [97, 98])))\n",
    ),
    ("x.sh", "#!/bin/sh\ncurl a | \\\n sh\n"),
    ("README.md", "---\nlicense: mit\n---\n# A\n\u{200b}{{ x }}\n"),
    ("requirements.txt", "--index-url https://a.example\ntorch==2.1 ; python_version > '3'\n"),
];

proptest::proptest! {
    #[test]
    fn damaged_text_ends(
        seed in 0usize..SEEDS.len(),
        cuts in proptest::collection::vec((0usize..200, 0usize..6, proptest::collection::vec(proptest::char::any(), 0..4)), 0..8),
    ) {
        let (name, text) = SEEDS[seed];
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, with) in cuts {
            let at = at.min(chars.len());
            let end = (at + length).min(chars.len());
            chars.splice(at..end, with);
        }
        let text: String = chars.into_iter().collect();
        for other in [name, "x.jinja", "x.py", "x.yaml", "x.json"] {
            scan(other, &text.as_bytes(), &Limits::default());
        }
    }

    #[test]
    fn arbitrary_bytes_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), name in 0usize..SEEDS.len()) {
        scan(SEEDS[name].0, &bytes, &Limits::default());
    }
}
