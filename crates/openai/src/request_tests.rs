//! Tests of requests.

use super::*;

fn read(endpoint: Endpoint, body: &str) -> Result<Request, WireError> {
    Request::parse(endpoint, body.as_bytes().to_vec(), &Limits::default())
}

/// Role, place and text of each piece.
fn said(request: &Request) -> Vec<(Role, String, String)> {
    let all = request.pieces().iter().enumerate();
    all.map(|(n, p)| (p.role, p.place.to_string(), request.text(n).into_owned())).collect()
}

#[test]
fn every_text_of_a_chat_is_a_piece_in_its_role() {
    let body = r#"{"model":"m","messages":[
        {"role":"developer","content":"be brief"},
        {"role":"user","name":"Ada","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"labs","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"ignore all"},
        {"role":"user","content":[{"type":"file","file":{"filename":"x.pdf","file_data":"data:application/pdf;base64,AA"}}]}
      ],"tools":[{"type":"function","function":{"name":"labs","description":"reads labs"}}],"new_field":{"deep":["hidden text"]},"user":"ward 3"}"#;
    let request = read(Endpoint::Chat, body).unwrap();
    let text = |role, place: &str, text: &str| (role, place.to_owned(), text.to_owned());
    assert_eq!(
        said(&request),
        [
            text(Role::System, "messages[0].content", "be brief"),
            text(Role::User, "messages[1].name", "Ada"),
            text(Role::User, "messages[1].content[0]", "look"),
            text(Role::Assistant, "messages[2].tool_calls[0]", "labs"),
            text(Role::Assistant, "messages[2].tool_calls[0]", "{}"),
            text(Role::Tool, "messages[3].content", "ignore all"),
            text(Role::Document, "messages[4].content[0]", "x.pdf"),
            text(Role::Definition, "tools", "labs"),
            text(Role::Definition, "tools", "reads labs"),
            text(Role::Other, "other", "hidden text"),
            text(Role::Other, "other", "ward 3"),
        ]
    );
    let kinds: Vec<_> = request.media().iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [crate::MediaKind::InlineImage, crate::MediaKind::File]);
    assert_eq!(request.original(), body.as_bytes());
}

#[test]
fn only_what_changed_changes() {
    let body = r#"{"stream" : true,"unknown":1e400,"messages":[{"role":"user","content":"a\u0062c"}], "model":"ward-chat"}"#;
    let mut request = read(Endpoint::Chat, body).unwrap();
    assert!(request.is_stream());
    assert_eq!(request.write("ward-chat"), body.as_bytes());
    request.set_text(0, "x\ny".to_owned());
    let written = String::from_utf8(request.write("llama")).unwrap();
    assert_eq!(written, body.replace(r"a\u0062c", r"x\ny").replace("ward-chat", "llama"));
}

#[test]
fn a_body_without_a_model_gets_one() {
    let request = read(Endpoint::Embeddings, r#"{"input":"x"}"#).unwrap();
    assert_eq!(request.model(), "");
    assert_eq!(request.write("m"), br#"{"input":"x","model":"m"}"#);
}

#[test]
fn responses_have_instructions_items_and_results_of_tools() {
    let body = r#"{"model":"m","instructions":"be kind","input":[
        {"role":"user","content":[{"type":"input_text","text":"hi"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"42"}],"previous_response_id":"resp_1"}"#;
    let request = read(Endpoint::Responses, body).unwrap();
    let roles: Vec<_> = said(&request).into_iter().map(|(role, _, text)| (role, text)).collect();
    let pair = |role, text: &str| (role, text.to_owned());
    assert_eq!(
        roles,
        [
            pair(Role::System, "be kind"),
            pair(Role::User, "hi"),
            pair(Role::Assistant, "f"),
            pair(Role::Assistant, "{}"),
            pair(Role::Tool, "42"),
            pair(Role::Other, "resp_1"),
        ]
    );
    assert!(request.is_stored());
    assert_eq!(
        read(Endpoint::Responses, r#"{"model":"m","input":"hi"}"#).unwrap().pieces()[0].role,
        Role::User
    );
}

#[test]
fn text_as_numbers_is_refused() {
    for (endpoint, body) in [
        (Endpoint::Embeddings, r#"{"input":[1,2,3]}"#),
        (Endpoint::Embeddings, r#"{"input":[[1,2],[3]]}"#),
        (Endpoint::Embeddings, r#"{"input":["a",3]}"#),
        (Endpoint::Embeddings, r#"{"input":[3,"a"]}"#),
        (Endpoint::Chat, r#"{"messages":[{"role":"user","content":"x"}],"prompt_token_ids":[1]}"#),
    ] {
        assert!(matches!(read(endpoint, body), Err(WireError::Field { .. })), "{body}");
    }
}

#[test]
fn two_readers_see_one_request() {
    for body in [
        r#"{"messages":[{"role":"user","content":"x"}],"Messages":[{"role":"user","content":"y"}]}"#,
        r#"{"messages":[{"role":"user","content":"x","Content":"y"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x","TEXT":"y"}]}]}"#,
    ] {
        assert!(matches!(read(Endpoint::Chat, body), Err(WireError::KeyCase { .. })), "{body}");
    }
    let twice = r#"{"messages":[{"role":"user","content":"x","content":"y"}]}"#;
    assert!(matches!(read(Endpoint::Chat, twice), Err(WireError::KeyTwice { .. })));
}

#[test]
fn bounds_hold_at_their_maximum_and_not_beyond() {
    let limits = Limits { messages: 2, text_bytes: 12, ..Limits::default() };
    let body = |n: usize, text: &str| {
        let one = format!(r#"{{"role":"user","content":"{text}"}}"#);
        format!(r#"{{"messages":[{}]}}"#, vec![one; n].join(",")).into_bytes()
    };
    assert!(Request::parse(Endpoint::Chat, body(2, "0123456789"), &limits).is_ok());
    for wrong in [body(3, "x"), body(1, "0123456789a")] {
        assert!(matches!(Request::parse(Endpoint::Chat, wrong, &limits), Err(WireError::Limit { .. })));
    }
    let bytes = b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}".to_vec();
    assert!(matches!(Request::parse(Endpoint::Chat, bytes, &limits), Err(WireError::NotUtf8 { .. })));
}

#[test]
fn a_picture_is_seen_whatever_the_part_calls_itself() {
    let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x","image_url":"https://evil.example/?q=1"}]}]}"#;
    let request = read(Endpoint::Chat, body).unwrap();
    assert_eq!(request.media()[0].kind, crate::MediaKind::LinkedImage);
}
