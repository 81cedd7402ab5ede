//! `--remote`: the gateway in front of a model server, against the direct call and against nginx.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::common::{self, Fixture, Ledger};
use super::{Target, commit, serve_bare, serve_gateway};

/// A model server, the gateway in front of it, and nginx in front of it.
pub(crate) fn remote(fixture: &Fixture, bodies: &[String], seconds: usize) {
    let idle = common::bench_on(&fixture.version(), Ledger::keeping(None));
    let server = serve_bare(&idle.gateway, &fixture.model);
    let config =
        upstream::Config::new(format!("http://{}", server.address()).parse().unwrap(), "breast-mass");
    let remote = Arc::new(upstream::Remote::connect(config).unwrap());
    let bench =
        common::bench_on(&fixture.version_on(gateway::Backend::Remote(remote)), Ledger::keeping(None));
    let upstream_address = server.address();
    let direct = Target::new(server, "", bodies);
    let through = Target::new(serve_gateway(&bench.gateway), &bench.key, bodies);
    let proxy = nginx(upstream_address);
    let seconds = Duration::from_secs(seconds as u64);
    for connections in [1, 16] {
        let plain = direct.closed_loop(connections, seconds, usize::MAX);
        let (wait_before, count_before) = commit(&bench.gateway);
        let full = through.closed_loop(connections, seconds, usize::MAX);
        let (wait, count) = commit(&bench.gateway);
        let wait_us = (wait - wait_before) / (count - count_before).max(1);
        println!("{connections} connections: direct  {}", plain.line());
        println!("   gateway {}; commit wait mean {wait_us} us", full.line());
        println!(
            "   added p50 beside the commit wait: {} us",
            full.at(50) as i64 - plain.at(50) as i64 - wait_us as i64
        );
        if let Some((address, ..)) = &proxy {
            let target = Target { address: *address, requests: Arc::clone(&direct.requests), _server: None };
            let run = target.closed_loop(connections, seconds, usize::MAX);
            println!("   nginx   {}; added p50 {} us", run.line(), run.at(50) as i64 - plain.at(50) as i64);
        }
    }
    if let Some((_, mut run, mut stop)) = proxy {
        // Asked to end, not killed: its workers would live on, and hold our output open.
        let _ = stop.status();
        let _ = run.wait();
    }
}

/// A plain nginx in front of `upstream`, where nginx is installed; and the command that ends it.
fn nginx(upstream: SocketAddr) -> Option<(SocketAddr, std::process::Child, std::process::Command)> {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap().keep();
    let config = dir.join("nginx.conf");
    let temp = |name: &str| format!("{name}_temp_path {};", dir.join(name).display());
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).join(" ");
    let text = format!(
        "daemon off; worker_processes 2; pid {}/pid; error_log stderr error; events {{ }} http {{ access_log off; {temps}
         upstream model {{ server {upstream}; keepalive 64; }}
         server {{ listen {address}; keepalive_requests 1000000; location / {{ proxy_pass http://model;
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    let binary = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| std::path::Path::new(p).exists());
    let Some(binary) = binary else {
        println!("nginx is not installed: not compared");
        return None;
    };
    let command = || {
        let mut command = std::process::Command::new(binary);
        command.arg("-c").arg(&config).arg("-p").arg(&dir);
        command.stdout(std::process::Stdio::null());
        command
    };
    let mut child = command().spawn().ok()?;
    while std::net::TcpStream::connect(address).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            println!("nginx ended by itself ({status}): not compared");
            return None;
        }
        std::thread::yield_now();
    }
    let mut stop = command();
    stop.args(["-s", "stop"]);
    Some((address, child, stop))
}
