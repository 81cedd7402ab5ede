//! A hospital of one's own, and the program at work on it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub fn asepsis(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asepsis"))
        .args(["--dir", dir.to_str().unwrap()])
        .args(arguments)
        .env_remove("ASEPSIS_CONFIG")
        .output()
        .unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The example hospital's folder in the repository.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital")
}

/// A data directory with the example's files and ports of its own, without chest X-rays and the remote vendor.
pub fn hospital() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hospital");
    for name in ["data", "models"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for file in std::fs::read_dir(example().join(name)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(name).join(file.file_name())).unwrap();
        }
    }
    let config = std::fs::read_to_string(example().join("asepsis.toml")).unwrap();
    let config = config
        .replace(":8470", &format!(":{}", free_port()))
        .replace(":8471", &format!(":{}", free_port()))
        .replace(":8472", &format!(":{}", free_port()));
    std::fs::write(folder.join("asepsis.toml"), config).unwrap();
    dir
}

/// A running `asepsis serve`, ended with the test.
pub struct Running {
    child: Child,
    pub gateway: String,
    pub lines: Vec<String>,
}

impl Running {
    pub fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_asepsis"))
            .args(["--dir", dir.to_str().unwrap(), "serve", "--admit"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = Vec::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap()).lines();
        let gateway = loop {
            let line = reader.next().expect("it ended before it served").unwrap();
            lines.push(line.clone());
            if let Some(at) = line.find("gateway  http://") {
                break line[at + 16..].split('/').next().unwrap().to_owned();
            }
        };
        while !lines.last().unwrap().contains("/sign-in?token=") {
            lines.push(reader.next().expect("it ended before it served").unwrap());
        }
        std::thread::spawn(move || reader.for_each(drop));
        Self { child, gateway, lines }
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends it as a user would, and gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// Posts a row of breast-mass and gives the whole answer.
    pub fn ask(&self, key: &str, body: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.gateway).unwrap();
        write!(
            stream,
            "POST /v2/models/breast-mass/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A held-out patient as a request.
pub fn patient(change: impl Fn(usize, &str) -> String) -> String {
    let table = std::fs::read_to_string(example().join("data/wdbc.csv")).unwrap();
    let row = table.lines().find(|l| l.ends_with(",test")).unwrap();
    let values: Vec<String> = row.split(',').take(30).enumerate().map(|(n, v)| change(n, v)).collect();
    format!(
        r#"{{"inputs":[{{"name":"input","shape":[1,30],"datatype":"FP32","data":[{}]}}]}}"#,
        values.join(",")
    )
}

pub fn honest() -> String {
    patient(|_, v| v.to_owned())
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}
