//! The console over a made-up hospital, to look at pages without running one: `cargo run -p console --example preview`.
//! Roles can be given: `-- clinician`. Port: environment `PREVIEW_PORT`, 8480 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a preview for developers")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a preview for developers")]

#[path = "../tests/house/mod.rs"]
mod house;

use std::sync::Arc;
use std::time::Duration;

use access::Role;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example that prints its address")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut roles: Vec<Role> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if roles.is_empty() {
        roles = vec![Role::Administrator, Role::Engineer, Role::Governance, Role::Clinician];
    }
    let port = std::env::var("PREVIEW_PORT").ok().and_then(|p| p.parse().ok()).unwrap_or(8480_u16);
    let made_up = Arc::new(house::MadeUp::new(&roles));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/sign-in?token={}", listener.local_addr()?, house::MadeUp::token());
    let traffic = Arc::clone(&made_up);
    tokio::spawn(async move {
        for n in 1.. {
            tokio::time::sleep(Duration::from_millis(900)).await;
            traffic.exchange(n);
        }
    });
    axum::serve(listener, console::router(made_up)).await?;
    Ok(())
}
