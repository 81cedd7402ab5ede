//! `asepsis up` and `asepsis serve`: everything wired together, from opening the hospital to a clean end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::ServerLimits;
use app::{AppError, Hospital};
use clap::Args;
use domain::Stage;
use gateway::{Gateway, Parts};
use tokio::sync::Mutex;

use crate::alerts::Alerts;
use crate::bridge::{self, Memories};
use crate::local::Place;
use crate::rehearsal::{self, Rehearsal};
use crate::vendor::Vendor;
use crate::{alerts, control, example, keep, picture, traffic};

#[derive(Args)]
pub struct UpArguments {
    /// Neither replayed traffic nor rehearsal
    #[arg(long)]
    pub no_traffic: bool,
    /// Write one line a event instead of the live summary
    #[arg(long)]
    pub plain: bool,
    /// End after so many seconds (for scripts)
    #[arg(long, value_name = "SECONDS")]
    pub end_after: Option<u64>,
}

#[derive(Args)]
pub struct ServeArguments {
    /// Admit systems whose deployment gate lacks evidence before serving
    #[arg(long)]
    pub admit: bool,
}

/// What to do besides serving.
struct Plan {
    example: bool,
    traffic: bool,
    admit: bool,
    live: bool,
    end_after: Option<u64>,
}

/// `asepsis up`.
pub fn up(place: &Place, arguments: &UpArguments) -> anyhow::Result<u8> {
    let paths = app::Paths::new(place.dir.clone());
    if !place.named {
        let written = example::unpack(&paths.example()).context("the example hospital cannot be prepared")?;
        if written > 0 {
            println!("prepared the example hospital in {} ({written} files)", paths.example().display());
        }
    }
    let live = !arguments.plain && picture::is_terminal();
    let traffic = !arguments.no_traffic && !place.named;
    run(place, Plan { example: !place.named, traffic, admit: true, live, end_after: arguments.end_after })
}

/// `asepsis serve`.
pub fn serve(place: &Place, arguments: &ServeArguments) -> anyhow::Result<u8> {
    if !place.config.exists() {
        bail!(
            "there is no configuration `{}`: name one with --config, or start with `asepsis up`",
            place.config.display()
        );
    }
    run(place, Plan { example: false, traffic: false, admit: arguments.admit, live: false, end_after: None })
}

fn run(place: &Place, plan: Plan) -> anyhow::Result<u8> {
    log_to_stderr(plan.live, plan.traffic);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_until_told(place, plan))
}

/// Structured logs: JSON lines on standard error, or only errors beside the live summary.
fn log_to_stderr(live: bool, traffic: bool) {
    // The example's own callers report every refusal they provoke; the gateway's side of it is what counts.
    let level = match (live, traffic) {
        (true, _) => "error",
        (false, true) => "info,upstream::remote=error",
        (false, false) => "info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ASEPSIS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Whether this is the example hospital.
pub fn is_example(hospital: &Hospital) -> bool {
    hospital.paths().example().join("asepsis.toml").exists()
        && hospital.settings().hospital == "Example Hospital"
}

/// Takes a port early, so that a taken one is said before anything else happens.
fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} for the {what} is taken: end the program that holds it, or change [listen] in the configuration",
            address.port()
        ),
        _ => anyhow::anyhow!("cannot listen on {address} for the {what}: {error}"),
    })
}

async fn serve_until_told(place: &Place, plan: Plan) -> anyhow::Result<u8> {
    let hospital = place.open().await?;
    if hospital.settings().systems.is_empty() && hospital.settings().language.is_empty() {
        eprintln!("no system is configured yet: the console is empty until one is");
    }
    let settings = hospital.settings();
    let doors = (
        listen(settings.gateway, "gateway")?,
        listen(settings.grpc, "gRPC gateway")?,
        listen(settings.console, "console")?,
    );
    let vendor = if plan.example { start_vendor(&hospital).await? } else { None };
    if plan.admit {
        admit_what_is_owed(&hospital).await?;
    }
    hospital.refresh_gates().await?;
    let memories = Arc::new(Memories::default());
    let gateway = Arc::new(Gateway::new(Parts {
        journal: Arc::clone(hospital.log()) as Arc<dyn gateway::Journal>,
        clock: hospital.clock(),
        digest_key: hospital.digest_key(),
        snapshot: bridge::snapshot(&hospital, &memories).await?,
    }));
    let usage = hospital.budgets().await?;
    let usage: Vec<_> =
        usage.into_iter().map(|(client, day, rows)| gateway::BudgetUsage { client, day, rows }).collect();
    gateway.restore_budgets(&usage);
    let servers = open_doors(&hospital, &gateway, doors)?;
    let tasks = start_tasks(&hospital, &gateway, &memories);
    announce(&hospital, &servers).await?;
    if plan.traffic {
        start_traffic(&hospital, servers.gateway.address(), vendor.clone()).await?;
    }
    wait(&hospital, &gateway, &plan).await;
    println!("\nending: open exchanges are let through, the ledger is closed");
    servers.stop().await;
    app::exercises::end(&hospital).await;
    for task in tasks {
        task.abort();
    }
    keep::save_now(&hospital, &gateway, &memories).await;
    drop(gateway);
    if plan.example {
        rehearsal::put_all_right(&hospital)?;
    }
    let head = hospital.log().head();
    hospital.close().await?;
    println!("ledger: {} entries, all on disk", head.size);
    Ok(0)
}

/// Starts the example's vendor where the configuration expects it, after putting right what a cut-off rehearsal left.
async fn start_vendor(hospital: &Hospital) -> anyhow::Result<Option<Arc<Mutex<Vendor>>>> {
    rehearsal::put_all_right(hospital)?;
    let Some(address) = rehearsal::vendor_address(hospital) else { return Ok(None) };
    match Vendor::start(address, example::VENDOR_MODEL).await {
        Ok(vendor) => Ok(Some(Arc::new(Mutex::new(vendor)))),
        Err(error) => {
            eprintln!("the example's vendor cannot start on {address}: {error}; its system stays shut");
            Ok(None)
        }
    }
}

/// Admits systems whose deployment gate is shut for want of evidence. What an admission cannot mend stays shut.
async fn admit_what_is_owed(hospital: &Hospital) -> anyhow::Result<()> {
    let local = hospital.person(app::people::LOCAL)?;
    for (id, system) in &hospital.settings().systems {
        let gate = hospital.gate(id, Stage::Deployment)?;
        if gate.open {
            println!("{id:<22} gate open, evidence holds");
            continue;
        }
        if let Some(name) = system.fetch.as_deref().filter(|_| !system.reference.exists()) {
            println!("{id:<22} waits for its data: run `asepsis data fetch {name}`");
        }
        let bar = crate::terminal::spinner();
        let say = |text: &str| bar.set_message(format!("{id}: {text}"));
        let admission = app::admit::admit(hospital, &local, id, &say).await;
        bar.finish_and_clear();
        match admission {
            Ok(admission) if admission.gate.open => println!("{id:<22} admitted, gate open"),
            Ok(admission) => println!("{id:<22} gate shut: {}", admission.gate.because().join(", ")),
            Err(AppError::Upstream(error)) => println!("{id:<22} gate shut: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The three servers.
struct Servers {
    gateway: api::Server,
    grpc: api::Server,
    console: api::Server,
}

impl Servers {
    async fn stop(self) {
        // The console first: its live streams would otherwise hold the end up.
        self.console.stop().await;
        self.gateway.stop().await;
        self.grpc.stop().await;
    }
}

fn open_doors(
    hospital: &Arc<Hospital>,
    gateway: &Arc<Gateway>,
    (rest, grpc, console): (TcpListener, TcpListener, TcpListener),
) -> anyhow::Result<Servers> {
    let settings = hospital.settings();
    let limits = ServerLimits {
        connections_max: settings.limits.connections_max,
        head_ms_max: settings.limits.header_read_ms_max,
        body_bytes_max: settings.limits.body_bytes_max + 1_024,
        ..ServerLimits::default()
    };
    let small = ServerLimits {
        workers: 1,
        connections_max: 256,
        // Forms are small; a scorecard from elsewhere is not. The console bounds each form for itself.
        body_bytes_max: console::UPLOAD_BYTES_MAX,
        drain_ms_max: 1_000,
        ..limits
    };
    let wants = api::Settings { open_metrics_on_loopback: settings.open_metrics_on_loopback };
    let desk = crate::desk::Desk::new(Arc::clone(hospital))?;
    let serve = |listener, router, limits| api::serve(listener, router, limits, Arc::clone(gateway));
    Ok(Servers {
        gateway: serve(rest, api::router(Arc::clone(gateway), wants), limits)?,
        grpc: serve(grpc, api::grpc(Arc::clone(gateway)), limits)?,
        console: serve(console, console::router(Arc::new(desk)), small)?,
    })
}

fn start_tasks(
    hospital: &Arc<Hospital>,
    gateway: &Arc<Gateway>,
    memories: &Arc<Memories>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let (h, g, m) = (|| Arc::clone(hospital), || Arc::clone(gateway), || Arc::clone(memories));
    vec![
        tokio::spawn(keep::follow(h(), g(), Alerts::default())),
        tokio::spawn(keep::watch(h())),
        tokio::spawn(keep::serve_changes(h(), g(), m())),
        tokio::spawn(keep::save(h(), g(), m())),
        tokio::spawn(alerts::send(h())),
        tokio::spawn({
            let gateway = g();
            async move { gateway.keep_house().await }
        }),
        tokio::spawn({
            let hospital = h();
            async move {
                if let Err(error) = control::listen(hospital).await {
                    tracing::error!("the control socket ended: {error}");
                }
            }
        }),
        tokio::spawn(reload_on_hangup(h())),
    ]
}

async fn reload_on_hangup(hospital: Arc<Hospital>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut hangups), Ok(local)) = (signal(SignalKind::hangup()), hospital.person(app::people::LOCAL))
    else {
        return;
    };
    while hangups.recv().await.is_some() {
        match app::desk::reload(&hospital, &local).await {
            Ok(()) => tracing::info!("the configuration is in force"),
            Err(error) => tracing::error!("the configuration was not loaded, nothing changed: {error}"),
        }
    }
}

/// Says where everything is, with a link that signs the first administrator in.
async fn announce(hospital: &Hospital, servers: &Servers) -> anyhow::Result<()> {
    println!("\n  gateway  http://{}/v2   (Open Inference Protocol v2)", servers.gateway.address());
    if !hospital.settings().language.is_empty() {
        println!("           http://{}/v1   (language models, OpenAI's protocol)", servers.gateway.address());
    }
    println!("  gRPC     {}", servers.grpc.address());
    println!("  console  http://{}/", servers.console.address());
    let settings = hospital.settings();
    let administrator = settings.people.iter().find(|p| p.roles.contains(&access::Role::Administrator));
    let name = administrator.map_or(app::people::LOCAL, |p| p.id.as_str());
    let token = hospital.sign_in_token(name).await?;
    println!("\n  sign in as {name}, once, within 15 minutes:");
    println!("  http://{}/sign-in?token={}\n", servers.console.address(), token.expose());
    Ok(())
}

async fn start_traffic(
    hospital: &Arc<Hospital>,
    gateway: SocketAddr,
    vendor: Option<Arc<Mutex<Vendor>>>,
) -> anyhow::Result<()> {
    traffic::start(hospital, gateway).await?;
    if let Some(vendor) = vendor.filter(|_| rehearsal::fits(hospital)) {
        let rehearsal = Rehearsal::new(Arc::clone(hospital), gateway, vendor);
        tokio::spawn(rehearsal.play());
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM, showing the live summary if somebody looks.
async fn wait(hospital: &Hospital, gateway: &Gateway, plan: &Plan) {
    use tokio::signal::unix::{SignalKind, signal};
    let term = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    let end = async {
        match plan.end_after {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = term => {}
        () = end => {}
        () = picture::show(hospital, gateway, plan.live) => {}
    }
}
