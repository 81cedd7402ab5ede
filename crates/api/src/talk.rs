//! The addresses of language models, as OpenAI's and Azure's clients call them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use detect::Frame;
use gateway::{Refusal, TalkAnswer, TalkArrival, TalkReply};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use hyper::body::Frame as BodyFrame;
use openai::Endpoint;
use tokio::sync::{mpsc, oneshot};

use crate::receipt::{ADVICE_HEADER, RECEIPT_HEADER};
use crate::rest::{Shared, check_head, credential, read};
use crate::talk_error::{TalkRefused, event};
use crate::talk_receipt::asepsis;

/// Pieces of a stream that may wait for a slow caller before the model's server has to wait as well.
const PIECES_MAX: usize = 16;

type Ended = Result<TalkAnswer, Box<gateway::Refused>>;

/// The routes.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/responses", post(responses))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/v1/models/{*model}", get(model))
        .route("/openai/deployments/{system}/chat/completions", post(chat_of))
        .route("/openai/deployments/{system}/embeddings", post(embeddings_of))
}

async fn chat(State(shared): State<Shared>, request: Request) -> Response {
    talk(shared, request, Endpoint::Chat, None).await
}

async fn responses(State(shared): State<Shared>, request: Request) -> Response {
    talk(shared, request, Endpoint::Responses, None).await
}

async fn embeddings(State(shared): State<Shared>, request: Request) -> Response {
    talk(shared, request, Endpoint::Embeddings, None).await
}

async fn chat_of(State(shared): State<Shared>, Path(system): Path<String>, request: Request) -> Response {
    talk(shared, request, Endpoint::Chat, Some(system)).await
}

async fn embeddings_of(
    State(shared): State<Shared>,
    Path(system): Path<String>,
    request: Request,
) -> Response {
    talk(shared, request, Endpoint::Embeddings, Some(system)).await
}

async fn talk(shared: Shared, request: Request, endpoint: Endpoint, system: Option<String>) -> Response {
    asked(shared, request, endpoint, system).await.unwrap_or_else(IntoResponse::into_response)
}

async fn asked(
    shared: Shared,
    request: Request,
    endpoint: Endpoint,
    system: Option<String>,
) -> Result<Response, TalkRefused> {
    let (head, body) = request.into_parts();
    let gateway = shared.gateway;
    let key = credential(&head.headers).map(str::to_owned);
    gateway.check_talk_key(key.as_deref())?;
    let counted = |refusal: Refusal| {
        gateway.count_refusal(&refusal);
        TalkRefused::from(refusal)
    };
    let bytes_max = gateway.text_limits().body_bytes;
    check_content(&head.headers, bytes_max).map_err(counted)?;
    drop(head);
    let body = read(body, bytes_max).await.map_err(counted)?;
    let (outlet, mut pieces) = mpsc::channel::<Frame>(PIECES_MAX);
    let (end, mut ended) = oneshot::channel::<Ended>();
    // A task of its own, so that a caller who leaves closes the exchange instead of dropping it half-way.
    tokio::spawn(async move {
        let arrival = TalkArrival { credential: key.as_deref(), system: system.as_deref(), endpoint };
        let answer = gateway.talk(arrival, body.to_vec(), Some(&outlet)).await;
        drop(outlet);
        let _ = end.send(answer);
    });
    if let Some(first) = pieces.recv().await {
        return Ok(streaming(Streaming { first: Some(first), pieces, ended: Some(ended), endpoint }));
    }
    match (&mut ended).await {
        Ok(Ok(answer)) => Ok(written(answer)),
        Ok(Err(refused)) => Err(refused.into()),
        Err(_) => Err(Refusal::LedgerUnavailable.into()),
    }
}

/// JSON, and nothing else, is read here.
fn check_content(headers: &HeaderMap, bytes_max: usize) -> Result<(), Refusal> {
    if headers.get_all(CONTENT_TYPE).iter().count() > 1 {
        let detail = "there are two content types; send one".to_owned();
        return Err(Refusal::Malformed { detail });
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::UnsupportedMediaType { media_type: crate::rest::short(kind) });
    }
    check_head(headers, bytes_max).map(|_| ())
}

/// An answer, whole or the end of a stream that had nothing before it.
fn written(answer: TalkAnswer) -> Response {
    let (index, advice) = (answer.receipt.ledger_index, answer.receipt.advice);
    let said = asepsis(&answer.receipt, &answer.notes);
    let (bytes, kind) = match answer.reply {
        TalkReply::Whole(reply) => (reply.into_inner().write(&said), "application/json"),
        TalkReply::Stream(end) => (end.seal(&said).into_inner(), "text/event-stream"),
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(RECEIPT_HEADER, HeaderValue::from(index));
    headers.insert(ADVICE_HEADER, HeaderValue::from_static(advice.as_str()));
    response
}

fn streaming(body: Streaming) -> Response {
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The body of a streamed reply: the pieces as they come, then the end, with the receipt or with the reason why there is none.
struct Streaming {
    first: Option<Frame>,
    pieces: mpsc::Receiver<Frame>,
    ended: Option<oneshot::Receiver<Ended>>,
    endpoint: Endpoint,
}

impl Streaming {
    fn last(&self, ended: Result<Ended, oneshot::error::RecvError>) -> Vec<u8> {
        match ended {
            Ok(Ok(answer)) => {
                let said = asepsis(&answer.receipt, &answer.notes);
                match answer.reply {
                    TalkReply::Stream(end) => end.seal(&said).into_inner(),
                    TalkReply::Whole(reply) => reply.into_inner().write(&said),
                }
            }
            Ok(Err(refused)) => event(self.endpoint, &refused),
            Err(_) => event(self.endpoint, &Refusal::LedgerUnavailable.into()),
        }
    }
}

impl hyper::body::Body for Streaming {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let data = |bytes: Vec<u8>| Poll::Ready(Some(Ok(BodyFrame::data(Bytes::from(bytes)))));
        if let Some(first) = this.first.take() {
            return data(first.into_inner());
        }
        match this.pieces.poll_recv(cx) {
            Poll::Ready(Some(piece)) => return data(piece.into_inner()),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {}
        }
        let Some(mut ended) = this.ended.take() else { return Poll::Ready(None) };
        match Pin::new(&mut ended).poll(cx) {
            Poll::Pending => {
                this.ended = Some(ended);
                Poll::Pending
            }
            Poll::Ready(end) => data(this.last(end)),
        }
    }
}

/// One model, as the protocol describes it.
fn described(id: &str) -> serde_json::Value {
    serde_json::json!({ "id": id, "object": "model", "created": 0, "owned_by": "asepsis" })
}

/// Names by which the caller may ask: each system, and each of its models in front of which the system stands.
fn names(shared: &Shared, headers: &HeaderMap) -> Result<Vec<String>, TalkRefused> {
    let mut names = Vec::new();
    for (system, models) in shared.gateway.language_models(credential(headers))? {
        names.push(system.to_string());
        names.extend(models.iter().map(|model| format!("{system}/{model}")));
    }
    Ok(names)
}

async fn models(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    match names(&shared, &headers) {
        Ok(names) => {
            let data: Vec<_> = names.iter().map(|name| described(name)).collect();
            axum::Json(serde_json::json!({ "object": "list", "data": data })).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

async fn model(State(shared): State<Shared>, Path(model): Path<String>, headers: HeaderMap) -> Response {
    match names(&shared, &headers) {
        Ok(names) if names.contains(&model) => axum::Json(described(&model)).into_response(),
        Ok(_) => {
            let refusal = Refusal::UnknownSystem { system: crate::rest::short(&model) };
            shared.gateway.count_refusal(&refusal);
            TalkRefused::from(refusal).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}
