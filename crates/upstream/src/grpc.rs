//! The gRPC half: one HTTP/2 connection, raw tensor contents.

use std::time::Duration;

use http::HeaderValue;
use oip::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use oip::grpc::proto::{ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest, ServerMetadataRequest};
use oip::{Answer, Ask, Encoding, Limits, ModelMetadata, ServerMetadata, grpc};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::error::Detail;
use crate::tls::{Versions, connector};
use crate::{Config, UpstreamError, wire};

/// HTTP/2 ping while a call is out: a peer that vanished without a word is noticed before the call's timeout.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Bytes that a message may have beyond its tensors' limit: names and parameters.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// A client of one server; cheap to clone, one connection.
pub(crate) struct GrpcClient {
    client: GrpcInferenceServiceClient<Channel>,
    target: String,
    model: String,
    version: Option<String>,
    bearer: Option<MetadataValue<tonic::metadata::Ascii>>,
    limits: Limits,
}

impl GrpcClient {
    /// Connects at the first call.
    pub(crate) fn new(config: &Config, bearer: Option<&HeaderValue>) -> Result<Self, UpstreamError> {
        let connect_timeout = Duration::from_millis(config.connect_timeout_ms);
        let connector = connector(config.ca_pem.as_deref(), connect_timeout, Versions::Two)?;
        let endpoint = Endpoint::from_shared(config.target.base.clone())
            .map_err(|e| UpstreamError::Settings(format!("{}: {e}", config.target)))?
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(PING_EVERY)
            .tcp_nodelay(true);
        let channel = endpoint.connect_with_connector_lazy(connector);
        let client = GrpcInferenceServiceClient::new(channel)
            .max_decoding_message_size(config.limits.body_bytes.saturating_add(FRAME_BYTES_MAX))
            .max_encoding_message_size(config.limits.body_bytes.saturating_add(FRAME_BYTES_MAX));
        let bearer = bearer.and_then(|b| MetadataValue::try_from(b.as_bytes()).ok());
        Ok(Self {
            client,
            target: config.target.to_string(),
            model: config.model.clone(),
            version: config.version.clone(),
            bearer,
            limits: config.limits,
        })
    }

    pub(crate) async fn infer(&self, ask: &Ask<'_>) -> Result<Answer, UpstreamError> {
        let message = grpc::write_request(&self.model, self.version.as_deref(), ask, Encoding::Binary)?;
        let reply =
            self.client.clone().model_infer(self.request(message)).await.map_err(|s| self.failed(&s))?;
        grpc::message_to_answer(reply.into_inner(), &self.limits)
            .map_err(|e| UpstreamError::BadReply { target: self.target.clone(), reason: e.to_string() })
    }

    pub(crate) async fn server(&self) -> Result<ServerMetadata, UpstreamError> {
        let request = self.request(ServerMetadataRequest {});
        let reply = self.client.clone().server_metadata(request).await.map_err(|s| self.failed(&s))?;
        Ok(reply.into_inner().into())
    }

    pub(crate) async fn model(&self) -> Result<ModelMetadata, UpstreamError> {
        let message = ModelMetadataRequest {
            name: self.model.clone(),
            version: self.version.clone().unwrap_or_default(),
        };
        let reply =
            self.client.clone().model_metadata(self.request(message)).await.map_err(|s| self.failed(&s))?;
        Ok(reply.into_inner().into())
    }

    pub(crate) async fn ready(&self) -> Result<bool, UpstreamError> {
        let mut client = self.client.clone();
        let live =
            client.server_live(self.request(ServerLiveRequest {})).await.map_err(|s| self.failed(&s))?;
        if !live.into_inner().live {
            return Ok(false);
        }
        let message =
            ModelReadyRequest { name: self.model.clone(), version: self.version.clone().unwrap_or_default() };
        match client.model_ready(self.request(message)).await {
            Ok(reply) => Ok(reply.into_inner().ready),
            // Some servers answer "no such model" with an error.
            Err(status) => match self.failed(&status) {
                UpstreamError::Refused { .. } => Ok(false),
                other => Err(other),
            },
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }

    fn failed(&self, status: &Status) -> UpstreamError {
        let target = self.target.clone();
        match status.code() {
            Code::Unavailable => wire::unreachable(&target, status),
            Code::OutOfRange => UpstreamError::TooLarge { target, max: self.limits.body_bytes as u64 },
            code => {
                let detail = Detail::new(status.message().to_owned());
                UpstreamError::Refused { target, status: format!("gRPC {code:?}"), detail }
            }
        }
    }
}
