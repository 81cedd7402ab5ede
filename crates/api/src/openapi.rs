//! The OpenAPI 3.1 document, written from one table of routes and kept in `docs/reference/openapi.json`.

use gateway::ENTRIES;
use serde_json::{Map, Value, json};

/// A route: method, path, summary, whether it needs a key, body and answer (names of schemas), refusals.
struct Route {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    key: Key,
    body: Option<&'static str>,
    answer: &'static str,
}

#[derive(PartialEq)]
enum Key {
    Needed,
    NotNeeded,
}

const fn read(path: &'static str, summary: &'static str, key: Key, answer: &'static str) -> Route {
    Route { method: "get", path, summary, key, body: None, answer }
}

const fn ask(path: &'static str, summary: &'static str) -> Route {
    Route {
        method: "post",
        path,
        summary,
        key: Key::Needed,
        body: Some("InferRequest"),
        answer: "InferResponse",
    }
}

/// An address of language models. Bodies are OpenAI's own; what this program adds stands in `asepsis`.
const fn talk(path: &'static str, summary: &'static str) -> Route {
    Route {
        method: "post",
        path,
        summary,
        key: Key::Needed,
        body: Some("LanguageRequest"),
        answer: "LanguageAnswer",
    }
}

const ROUTES: [Route; 21] = [
    read("/v2", "Server metadata", Key::NotNeeded, "ServerMetadata"),
    read("/v2/health/live", "Whether the server runs", Key::NotNeeded, "Live"),
    read(
        "/v2/health/ready",
        "Whether the ledger takes entries and a system is open",
        Key::NotNeeded,
        "Ready",
    ),
    read("/v2/models/{system}", "Inputs and outputs of a system", Key::Needed, "ModelMetadata"),
    read("/v2/models/{system}/ready", "Whether a system answers", Key::NotNeeded, "ModelReady"),
    ask("/v2/models/{system}/infer", "Ask a system; the answer carries a receipt"),
    read(
        "/v2/models/{system}/versions/{version}",
        "Inputs and outputs of a version",
        Key::Needed,
        "ModelMetadata",
    ),
    read(
        "/v2/models/{system}/versions/{version}/ready",
        "Whether a version answers",
        Key::NotNeeded,
        "ModelReady",
    ),
    ask("/v2/models/{system}/versions/{version}/infer", "Ask a version; only the admitted one answers"),
    read("/healthz", "Whether the process runs", Key::NotNeeded, "Live"),
    read("/readyz", "What keeps the gateway from answering", Key::NotNeeded, "Readiness"),
    read("/metrics", "Counters and histograms for Prometheus", Key::Needed, "text"),
    read("/openapi.json", "This document", Key::NotNeeded, "object"),
    read("/v2/", "Server metadata", Key::NotNeeded, "ServerMetadata"),
    talk(
        "/v1/chat/completions",
        "Talk with a language model, whole or as a stream of events; OpenAI's protocol",
    ),
    talk("/v1/responses", "Talk with a language model by OpenAI's newer protocol"),
    talk("/v1/embeddings", "Vectors of texts"),
    read("/v1/models", "Language models that this key may ask", Key::Needed, "object"),
    read("/v1/models/{model}", "One of them", Key::Needed, "object"),
    talk("/openai/deployments/{system}/chat/completions", "As Azure's clients ask"),
    talk("/openai/deployments/{system}/embeddings", "As Azure's clients ask"),
];

/// The document, pretty-printed with a line feed at its end.
pub fn openapi() -> String {
    let mut paths: Map<String, Value> = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.method.to_owned(), operation(route));
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Asepsis gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Open Inference Protocol v2 and OpenAI's protocol in front of guarded, audited models. Every answer carries a receipt; \
                every refusal has a stable code: problem+json under /v2, an `error` object under /v1 and /openai.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "An API key, `asepsis_NAME_SECRET`" },
                "header": { "type": "apiKey", "in": "header", "name": "X-API-Key" }
            },
            "responses": { "Refused": {
                "description": "A refusal; `code` is stable, `asepsis explain CODE` shows its page.",
                "content": { crate::PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } }
            } },
            "schemas": schemas()
        }
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(route: &Route) -> Value {
    let parameters: Vec<Value> = ["system", "version", "model"]
        .iter()
        .filter(|name| route.path.contains(&format!("{{{name}}}")))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let schema = match route.answer {
        "text" => json!({ "text/plain": { "schema": { "type": "string" } } }),
        "object" => json!({ "application/json": { "schema": { "type": "object" } } }),
        name => json!({ "application/json": { "schema": reference(name) } }),
    };
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": {
            "200": { "description": "Answered", "content": schema },
            "default": { "$ref": "#/components/responses/Refused" }
        }
    });
    let Some(fields) = operation.as_object_mut() else { return operation };
    if route.key == Key::Needed {
        fields.insert("security".to_owned(), json!([{ "bearer": [] }, { "header": [] }]));
    }
    if let Some(body) = route.body {
        fields.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": if body == "LanguageRequest" {
                json!({ "application/json": { "schema": reference(body) } })
            } else { json!({
                "application/json": { "schema": reference(body) },
                "application/octet-stream": { "schema": {
                    "type": "string", "format": "binary",
                    "description": "JSON, then the binary tensors; `Inference-Header-Content-Length` is the length of the JSON"
                } }
            }) } }),
        );
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '.']).filter(|w| !w.is_empty());
    let path = words.map(|w| w.trim_matches(['{', '}'])).collect::<Vec<_>>().join("_");
    let slash = if route.path.ends_with('/') { "_slash" } else { "" };
    format!("{}_{path}{slash}", route.method)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The answer of a language model: its own fields, and ours.
fn language_answer(verdicts: &Value) -> Value {
    let text = || json!({ "type": "string" });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    object(
        &["asepsis"],
        json!({
            "asepsis": object(&["receipt", "model", "advice", "verdicts"], json!({
                "receipt": { "type": "string", "description": "position of the closing entry in the ledger" },
                "model": { "type": "string", "description": "digest of the server's address and the model's name there" },
                "advice": { "type": "string", "enum": ["use", "use with care", "do not use"] },
                "verdicts": verdicts,
                "notes": list(object(&["check", "place", "start", "end", "severity", "message"], json!({
                    "check": text(), "place": text(), "start": { "type": "integer" }, "end": { "type": "integer" },
                    "severity": text(), "message": text()
                })))
            }))
        }),
    )
}

fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let shape = || list(json!({ "type": "integer" }));
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    let datatypes = [
        "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32",
        "FP64", "BYTES",
    ];
    let tensor = |required: &[&str]| {
        object(
            required,
            json!({
                "name": text(), "shape": shape(), "datatype": { "type": "string", "enum": datatypes },
                "parameters": { "type": "object" }, "data": { "type": "array" }
            }),
        )
    };
    let spec = object(
        &["name", "datatype", "shape"],
        json!({ "name": text(), "datatype": text(), "shape": shape() }),
    );
    let codes: Vec<&str> = ENTRIES.iter().map(|e| e.id).collect();
    let said = object(
        &["outcome"],
        json!({
            "outcome": { "type": "string", "enum": ["clean", "found", "inconclusive"] },
            "severity": text(), "message": text(), "remedy": text(),
            "more": { "type": "integer", "description": "findings beside the worst one" }
        }),
    );
    let verdicts = json!({ "type": "object", "additionalProperties": said, "description": "guard instance → what it said" });
    json!({
        "ServerMetadata": object(&["name", "version", "extensions"], json!({ "name": text(), "version": text(), "extensions": list(text()) })),
        "Live": object(&["live"], json!({ "live": { "type": "boolean" } })),
        "Ready": object(&["ready"], json!({ "ready": { "type": "boolean" } })),
        "Readiness": object(&["ready", "ledger", "systems"], json!({
            "ready": { "type": "boolean" }, "ledger": text(), "systems": { "type": "object", "additionalProperties": text() }
        })),
        "ModelReady": object(&["name", "ready"], json!({ "name": text(), "ready": { "type": "boolean" } })),
        "ModelMetadata": object(&["name", "versions", "platform", "inputs", "outputs"], json!({
            "name": text(), "versions": list(text()), "platform": text(), "inputs": list(spec.clone()), "outputs": list(spec)
        })),
        "InferRequest": object(&["inputs"], json!({
            "id": text(), "parameters": { "type": "object" },
            "inputs": list(tensor(&["name", "shape", "datatype"])),
            "outputs": list(object(&["name"], json!({ "name": text(), "parameters": { "type": "object" } })))
        })),
        "InferResponse": object(&["model_name", "outputs", "parameters"], json!({
            "model_name": text(), "model_version": text(), "id": text(), "outputs": list(tensor(&["name", "shape", "datatype"])),
            "parameters": object(&["asepsis_receipt", "asepsis_model", "asepsis_advice", "asepsis_verdicts"], json!({
                "asepsis_receipt": { "type": "string", "description": "position of the closing entry in the ledger" },
                "asepsis_model": { "type": "string", "description": "content digest of the model that answered" },
                "asepsis_advice": { "type": "string", "enum": ["use", "use with care", "do not use"] },
                "asepsis_verdicts": { "type": "string", "description": "JSON text: guard instance → what it said" }
            }))
        })),
        "LanguageRequest": object(&["model"], json!({
            "model": { "type": "string", "description": "SYSTEM or SYSTEM/MODEL" },
            "stream": { "type": "boolean" }, "messages": { "type": "array" }, "input": {}
        })),
        "LanguageAnswer": language_answer(&verdicts),
        "Problem": object(&["type", "title", "status", "detail", "code", "what_to_do", "error"], json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
            "code": { "type": "string", "enum": codes }, "what_to_do": text(), "receipt": text(), "verdicts": verdicts,
            "error": { "type": "string", "description": "code and message in one line, as clients of the protocol show it" }
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
        if std::env::var_os("ASEPSIS_BLESS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).unwrap();
            std::fs::write(path, openapi()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == openapi(),
            "docs/reference/openapi.json is stale: run this test with ASEPSIS_BLESS=1"
        );
    }

    #[test]
    fn operation_ids_are_unique() {
        let mut ids: Vec<_> = ROUTES.iter().map(operation_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len());
    }
}
