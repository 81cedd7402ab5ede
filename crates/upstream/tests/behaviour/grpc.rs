//! The gRPC half.

use oip::grpc::proto::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use oip::grpc::proto::*;
use oip::{Answer, Limits, Params, grpc};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use upstream::{Config, Remote, Secret, UpstreamError};

use crate::serve::{self, input, output};

/// A model server; what it does wrong depends on the model it is asked for.
struct Server;

#[tonic::async_trait]
impl GrpcInferenceService for Server {
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
        Ok(Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(
        &self,
        r: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        match r.get_ref().name.as_str() {
            "m" => Ok(Response::new(ModelReadyResponse { ready: true })),
            _ => Err(Status::not_found("no such model")),
        }
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn model_metadata(
        &self,
        _: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let bearer = request.metadata().get("authorization").is_some_and(|v| v == "Bearer token");
        let asked = grpc::message_to_call(request.into_inner(), &Limits::default()).ok().unwrap();
        assert!(asked.call.inputs == [input()]);
        let mut answer = Answer {
            model_name: asked.model_name.clone(),
            model_version: None,
            id: asked.call.id,
            parameters: Params::new(),
            outputs: vec![output()],
        };
        match asked.model_name.as_str() {
            "m" => {}
            "closed" if !bearer => return Err(Status::unauthenticated("no token")),
            "closed" => {}
            "mixed-up" => answer.id = Some("another".into()),
            "slow" => std::future::pending().await,
            "huge" => {
                answer.parameters = Params::from([("p".into(), oip::Param::String("x".repeat(16 << 20)))])
            }
            "careless" => return Err(Status::invalid_argument("bad value 4711.25")),
            "many" => {
                let mut message = grpc::write_answer(&answer, oip::Encoding::Json).unwrap();
                message.outputs = vec![Default::default(); 100_000];
                return Ok(Response::new(message));
            }
            _ => return Err(Status::not_found("no such model")),
        }
        Ok(Response::new(grpc::write_answer(&answer, asked.encoding).unwrap()))
    }
}

fn router() -> axum::Router {
    Routes::new(GrpcInferenceServiceServer::new(Server)).into_axum_router()
}

#[tokio::test]
async fn a_sound_answer_is_believed_and_all_others_are_not() {
    let address = serve::plain(router()).await;
    let config = |model: &str| {
        let mut config = Config::new(format!("grpc://{address}").parse().unwrap(), model);
        config.timeout_ms = if model == "slow" { 50 } else { 10_000 };
        config
    };
    let remote = |model: &str| Remote::connect(config(model)).unwrap();
    assert!(remote("m").ready().await.unwrap());
    assert!(!remote("n").ready().await.unwrap());
    assert_eq!(remote("m").probe(&[input()]).await.unwrap(), [output()]);
    for (model, code, words) in [
        ("n", "upstream-refused", "check the model's name"),
        ("closed", "upstream-refused", "check the bearer token"),
        ("careless", "upstream-refused", "compare the request"),
        ("mixed-up", "upstream-bad-reply", "another request"),
        ("slow", "upstream-timeout", "within 50 ms"),
        ("huge", "upstream-too-large", "is larger than"),
        ("many", "upstream-refused", "InvalidArgument"),
    ] {
        let error = remote(model).probe(&[input()]).await.unwrap_err();
        assert_eq!(error.code(), code, "{model}: {error}");
        assert!(error.to_string().contains(words), "{model}: {error}");
        assert!(!format!("{error} {error:?}").contains("4711"), "{error}");
    }
    let mut closed = config("closed");
    closed.bearer = Some(Secret::new("token"));
    assert_eq!(Remote::connect(closed).unwrap().probe(&[input()]).await.unwrap(), [output()]);
}

#[tokio::test]
async fn tls_is_spoken_with_the_hospitals_own_authority_and_refused_without() {
    let (port, authority) = serve::tls(router(), b"h2").await;
    let mut config = Config::new(format!("grpcs://localhost:{port}").parse().unwrap(), "m");
    let stranger = Remote::connect(config.clone()).unwrap();
    let error = stranger.probe(&[input()]).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error}");
    config.ca_pem = Some(authority.into_bytes());
    assert_eq!(Remote::connect(config).unwrap().probe(&[input()]).await.unwrap(), [output()]);
}

#[tokio::test]
async fn nobody_there_says_so() {
    let address = serve::nobody().await;
    let remote = Remote::connect(Config::new(format!("grpc://{address}").parse().unwrap(), "m")).unwrap();
    let error = remote.probe(&[input()]).await.unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
}
