//! A model on a remote server, behind one interface for both halves of the protocol.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use detect::Screened;
use domain::{InferenceReply, InferenceRequest, Phi, Tensor};
use oip::{Answer, Ask, ModelMetadata, Params, ServerMetadata};
use tokio::sync::Semaphore;

use crate::circuit::{Circuit, CircuitState};
use crate::config::Transport;
use crate::grpc::GrpcClient;
use crate::rest::RestClient;
use crate::{Config, UpstreamError};

/// A remote model. Share it behind an `Arc`; connections are pooled inside.
pub struct Remote {
    client: Client,
    target: String,
    model: String,
    version: Option<String>,
    timeout: Duration,
    circuit: Circuit,
    under_way: Semaphore,
    /// Number of the next request on the wire.
    next: AtomicU64,
}

enum Client {
    Rest(Box<RestClient>),
    Grpc(Box<GrpcClient>),
}

impl Remote {
    /// Prepares the client; the first request opens the connection. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`]: authorities that are no certificates, a token that cannot be sent, or one that
    /// would cross the network in the clear.
    pub fn connect(config: Config) -> Result<Self, UpstreamError> {
        let bearer = match &config.bearer {
            None => None,
            Some(_) if !config.target.tls && !config.target.is_loopback() => {
                let why =
                    format!("a bearer token would go to {} in the clear: use https or grpcs", config.target);
                return Err(UpstreamError::Settings(why));
            }
            Some(secret) => Some(secret.bearer().ok_or_else(|| {
                UpstreamError::Settings("the bearer token holds a character that no header can carry".into())
            })?),
        };
        let client = match config.target.transport {
            Transport::Rest => Client::Rest(Box::new(RestClient::new(&config, bearer)?)),
            Transport::Grpc => Client::Grpc(Box::new(GrpcClient::new(&config, bearer.as_ref())?)),
        };
        Ok(Self {
            client,
            target: config.target.to_string(),
            timeout: Duration::from_millis(config.timeout_ms),
            circuit: Circuit::new(config.failures_max, Duration::from_millis(config.open_ms)),
            under_way: Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS)),
            next: AtomicU64::new(0),
            model: config.model,
            version: config.version,
        })
    }

    /// Asks the model about a patient. Only what the guards let through can be asked.
    ///
    /// The caller's own request id stays here: the server gets a number of ours, and an answer under another number
    /// is refused.
    ///
    /// # Errors
    /// [`UpstreamError`]; its message holds no value of the request or the answer.
    pub async fn infer(&self, request: &Screened<InferenceRequest>) -> Result<InferenceReply, UpstreamError> {
        let request = request.get();
        let outputs = self.ask(request.inputs.expose(), &request.outputs).await?;
        Ok(InferenceReply { outputs: Phi::new(outputs), features: None })
    }

    /// Asks the model about reference data, at admission. Not for patients: nothing screens these inputs.
    ///
    /// # Errors
    /// As [`Remote::infer`].
    pub async fn probe(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, UpstreamError> {
        self.ask(inputs, &[]).await
    }

    /// What the server says of the model.
    ///
    /// # Errors
    /// As [`Remote::infer`].
    pub async fn metadata(&self) -> Result<ModelMetadata, UpstreamError> {
        self.watch(async {
            match &self.client {
                Client::Rest(client) => client.model().await,
                Client::Grpc(client) => client.model().await,
            }
        })
        .await
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// As [`Remote::infer`].
    pub async fn server_metadata(&self) -> Result<ServerMetadata, UpstreamError> {
        self.watch(async {
            match &self.client {
                Client::Rest(client) => client.server().await,
                Client::Grpc(client) => client.server().await,
            }
        })
        .await
    }

    /// True when the server is up and the model can be asked.
    ///
    /// # Errors
    /// When nobody answers. A model that is not there is `false`.
    pub async fn ready(&self) -> Result<bool, UpstreamError> {
        self.watch(async {
            match &self.client {
                Client::Rest(client) => client.ready().await,
                Client::Grpc(client) => client.ready().await,
            }
        })
        .await
    }

    /// State of the circuit breaker, for pages and metrics.
    pub fn circuit(&self) -> CircuitState {
        self.circuit.state(Instant::now())
    }

    /// The server's address, as configured.
    pub fn target(&self) -> &str {
        &self.target
    }

    async fn ask(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, UpstreamError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let parameters = Params::new();
        let ask = Ask { id: Some(&id), inputs, outputs, parameters: &parameters };
        self.watch(async {
            let answer = match &self.client {
                Client::Rest(client) => client.infer(&ask).await?,
                Client::Grpc(client) => client.infer(&ask).await?,
            };
            self.believe(answer, &ask)
        })
        .await
    }

    /// Is this the answer to our question? Mixed-up answers are mixed-up patients.
    fn believe(&self, answer: Answer, ask: &Ask<'_>) -> Result<Vec<Tensor>, UpstreamError> {
        let bad = |reason: String| UpstreamError::BadReply { target: self.target.clone(), reason };
        if answer.id.as_deref().is_some_and(|id| Some(id) != ask.id) {
            return Err(bad("it answers another request".to_owned()));
        }
        if !answer.model_name.is_empty() && answer.model_name != self.model {
            return Err(bad(format!(
                "it comes from model `{}` instead of `{}`",
                answer.model_name, self.model
            )));
        }
        if let (Some(wanted), Some(found)) = (&self.version, &answer.model_version)
            && wanted != found
        {
            return Err(bad(format!("it comes from version `{found}` instead of `{wanted}`")));
        }
        let found: BTreeSet<_> = answer.outputs.iter().map(Tensor::name).collect();
        if let Some(missing) = ask.outputs.iter().find(|o| !found.contains(o.as_str())) {
            return Err(bad(format!("output `{missing}` is missing")));
        }
        if answer.outputs.is_empty() {
            return Err(bad("it has no outputs".to_owned()));
        }
        let mut outputs = answer.outputs;
        if !ask.outputs.is_empty() {
            outputs.retain(|t| ask.outputs.iter().any(|o| o == t.name()));
        }
        Ok(outputs)
    }

    /// Runs `call` under circuit, place in the queue and time limit.
    async fn watch<T>(
        &self,
        call: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let target = || self.target.clone();
        self.circuit
            .admit(Instant::now())
            .map_err(|retry_after_ms| UpstreamError::CircuitOpen { target: target(), retry_after_ms })?;
        let queued = async {
            // Never closed, so a place always comes.
            let _place = self.under_way.acquire().await.ok();
            call.await
        };
        let result = tokio::time::timeout(self.timeout, queued).await.unwrap_or_else(|_| {
            let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
            Err(UpstreamError::Timeout { target: target(), after_ms })
        });
        match &result {
            Err(error) if error.is_servers_fault() => {
                tracing::warn!(target = %self.target, code = error.code(), "remote model failed");
                self.circuit.failed(Instant::now());
            }
            _ => self.circuit.succeeded(),
        }
        result
    }
}
