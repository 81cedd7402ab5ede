//! The example's remote vendor: a small Open Inference Protocol v2 server on loopback with one model, so that the
//! example hospital has a system that is not its own, and the rehearsal a server that can die.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use domain::{Tensor, TensorData};
use oip::rest;
use runtime::{Limits, Model, Scratch, TensorView};
use tokio::task::JoinHandle;

/// Name of the model there.
pub const MODEL: &str = "heart-risk";

/// A running vendor.
pub struct Vendor {
    address: SocketAddr,
    model: Arc<Model>,
    task: Option<JoinHandle<()>>,
}

impl Vendor {
    /// Starts it.
    pub async fn start(address: SocketAddr, model: &[u8]) -> anyhow::Result<Self> {
        let model = Arc::new(Model::load(model, &Limits::default())?);
        let mut vendor = Self { address, model, task: None };
        vendor.restart().await?;
        Ok(vendor)
    }

    /// Ends it at once, with every open connection, as a crash would.
    pub fn die(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Starts it again after [`Vendor::die`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(64)?;
        let router = Router::new()
            .route("/v2", get(server))
            .route("/v2/health/ready", get(|| async { "" }))
            .route("/v2/models/heart-risk", get(metadata))
            .route("/v2/models/heart-risk/ready", get(|| async { "" }))
            .route("/v2/models/heart-risk/infer", post(infer))
            .with_state(Arc::clone(&self.model));
        self.task = Some(tokio::spawn(accept(listener, router)));
        Ok(())
    }
}

/// Connections belong to this task, so that aborting it ends them all.
async fn accept(listener: tokio::net::TcpListener, router: Router) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                open.spawn(async move {
                    let stream = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                });
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn server() -> Response {
    json(r#"{"name":"example vendor","version":"1","extensions":[]}"#.to_owned())
}

async fn metadata(State(model): State<Arc<Model>>) -> Response {
    let list = |values: &[runtime::ValueInfo]| -> Vec<serde_json::Value> {
        values
            .iter()
            .map(|v| {
                let shape: Vec<i64> = v
                    .shape
                    .iter()
                    .flatten()
                    .map(
                        |d| if let runtime::Dim::Fixed(n) = d { i64::try_from(*n).unwrap_or(-1) } else { -1 },
                    )
                    .collect();
                serde_json::json!({ "name": v.name, "datatype": "FP32", "shape": shape })
            })
            .collect()
    };
    let text = serde_json::json!({
        "name": MODEL, "versions": ["1"], "platform": "onnx",
        "inputs": list(model.inputs()), "outputs": list(model.outputs()),
    });
    json(text.to_string())
}

async fn infer(State(model): State<Arc<Model>>, headers: HeaderMap, body: Bytes) -> Response {
    let header_len = headers
        .get("inference-header-content-length")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    match answer(&model, &body, header_len) {
        Ok(body) => json(body),
        Err(message) => (StatusCode::BAD_REQUEST, rest::write_error(&message)).into_response(),
    }
}

fn answer(model: &Model, body: &[u8], header_len: Option<usize>) -> Result<String, String> {
    let call = rest::parse_request(body, header_len, &oip::Limits::default()).map_err(|e| e.to_string())?;
    let input = call.inputs.first().ok_or("no input")?;
    let values = input.data().to_f32().ok_or("numbers are wanted")?;
    let outputs = model
        .run(&[(input.name(), TensorView::f32(input.shape(), &values))], &mut Scratch::default())
        .map_err(|e| e.to_string())?;
    let outputs = outputs
        .into_iter()
        .filter_map(|(name, t)| {
            Tensor::new(name, t.shape.clone(), TensorData::Fp32(t.as_f32()?.to_vec())).ok()
        })
        .collect();
    let answer = oip::Answer {
        model_name: MODEL.to_owned(),
        model_version: Some("1".to_owned()),
        id: call.id.clone(),
        outputs,
        parameters: oip::Params::default(),
    };
    let written = rest::write_response(&answer, &call.wants()).map_err(|e| e.to_string())?;
    String::from_utf8(written.body).map_err(|_| "not text".to_owned())
}

fn json(text: String) -> Response {
    ([("content-type", "application/json")], text).into_response()
}
