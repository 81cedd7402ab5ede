//! Open Inference Protocol v2 over gRPC. The same gateway, the same order, another wire.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use gateway::{Arrival, Gateway, Refusal, Refused};
use oip::grpc::proto::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use oip::grpc::proto::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::problem::grpc_status;
use crate::receipt::parameters;
use crate::rest::{described, metadata_of};

/// Bytes that framing and names may add to a body's limit.
const FRAMING_BYTES: usize = 1_024;

/// The gRPC service, as routes for [`serve`](crate::serve()).
pub fn grpc(gateway: Arc<Gateway>) -> Router {
    let bytes_max = gateway.snapshot().limits.wire.body_bytes.saturating_add(FRAMING_BYTES);
    let service = GrpcInferenceServiceServer::new(Service(Arc::clone(&gateway)))
        .max_decoding_message_size(bytes_max)
        .max_encoding_message_size(usize::MAX);
    Routes::new(service).into_axum_router().layer(from_fn_with_state(gateway, key_first))
}

/// Looks at the key before a message is read, as over REST: who has none need not send one.
async fn key_first(
    State(gateway): State<Arc<Gateway>>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    if request.uri().path().ends_with("/ModelInfer") {
        let credential = crate::rest::credential(request.headers());
        if let Err(refused) = gateway.check_key(&Arrival { credential, system: "", version: None }) {
            return grpc_status(&refused).into_http();
        }
    }
    next.run(request).await
}

struct Service(Arc<Gateway>);

/// The key in the metadata `authorization` (`Bearer KEY`) or `x-api-key`.
fn credential(metadata: &MetadataMap) -> Option<&str> {
    let text = |name: &str| metadata.get(name).and_then(|v| v.to_str().ok());
    let bearer = text("authorization").and_then(|v| {
        let (scheme, key) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| text("x-api-key"))
}

fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn refused(refusal: Refusal) -> Status {
    grpc_status(&Refused::from(refusal))
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.0.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let message = request.get_ref();
        let ready = match self.0.version_of(&message.name, optional(&message.version)) {
            Ok(_) => true,
            Err(refusal @ (Refusal::UnknownSystem { .. } | Refusal::UnknownVersion { .. })) => {
                return Err(refused(refusal));
            }
            Err(_) => false,
        };
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(crate::rest::server_description().into()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let message = request.get_ref();
        let key = credential(request.metadata());
        let version = described(&self.0, &message.name, optional(&message.version), key).map_err(refused)?;
        Ok(Response::new(metadata_of(&message.name, &version).into()))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let encoding = oip::grpc::encoding_of(&message);
        let (system, version) = (message.model_name.clone(), message.model_version.clone());
        let arrival =
            Arrival { credential: credential(&metadata), system: &system, version: optional(&version) };
        let parse = |limits: &oip::Limits| oip::grpc::message_to_call(message, limits).map(|a| a.call);
        let answer = self.0.infer(arrival, parse).await.map_err(|refused| grpc_status(&refused))?;
        let (index, advice) = (answer.receipt.ledger_index, answer.receipt.advice.as_str());
        let answer = oip::Answer {
            model_name: answer.system.as_str().to_owned(),
            model_version: Some(answer.version.clone()),
            id: answer.id.clone(),
            parameters: parameters(&answer.receipt),
            outputs: answer.into_outputs(),
        };
        let written = oip::grpc::write_answer(&answer, encoding)
            .map_err(|error| refused(Refusal::ModelFailed { detail: error.to_string() }))?;
        let mut response = Response::new(written);
        response.metadata_mut().insert("asepsis-receipt", index.into());
        response.metadata_mut().insert("asepsis-advice", tonic::metadata::MetadataValue::from_static(advice));
        Ok(response)
    }
}
