//! The guards over whole bodies and over streams cut anywhere.

use domain::{Clock, GuardMode, GuardVerdict, Severity, Timestamp};
use openai::{Chunk, Endpoint, EventReader, Limits, Reply, Request};
use proptest::prelude::*;

use super::*;
use crate::Screening;

/// A clock that stands still, so that no guard is ever late.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_440_000_000)
    }

    fn monotonic_us(&self) -> u64 {
        0
    }
}

const NOTE: &str =
    "Mr. Chinedu Okafor (MRN 4471823) was seen on 04/12/2023, call 555-201-3344. Stop metformin.";

fn request(text: &str) -> Request {
    let text = serde_json::to_string(text).unwrap();
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{text}}}]}}"#);
    Request::parse(Endpoint::Chat, body.into_bytes(), &Limits::default()).unwrap()
}

fn reply(text: &str) -> Reply {
    let text = serde_json::to_string(text).unwrap();
    let body = format!(r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}}}}]}}"#);
    Reply::parse(Endpoint::Chat, body.into_bytes(), &Limits::default()).unwrap()
}

fn guards(change: impl FnOnce(&mut TextGuardSettings)) -> TextGuards {
    let mut settings = TextGuardSettings::default();
    change(&mut settings);
    TextGuards::build(&settings, HoldBack::default())
}

fn passed<T>(screening: Screening<T>) -> T {
    match screening {
        Screening::Passed { screened, .. } => screened.into_inner(),
        Screening::Blocked { verdicts } => panic!("blocked: {verdicts:?}"),
    }
}

fn masking(action: IdentifierAction) -> TextGuards {
    guards(|s| s.patient_identifiers.action = action)
}

/// What a client hears of a stream that says `text` in pieces cut at `cuts`.
fn streamed(guards: &TextGuards, talk: Talk, text: &str, cuts: &[usize]) -> Result<String, Blocked> {
    let mut screen = guards.stream(Endpoint::Chat, talk);
    let mut bytes = Vec::new();
    let mut at = 0;
    let chars: Vec<char> = text.chars().collect();
    for piece in cuts.iter().copied().chain([chars.len()]) {
        let end = piece.clamp(at, chars.len());
        let said: String = chars[at..end].iter().collect();
        at = end;
        let said = serde_json::to_string(&said).unwrap();
        let data =
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{said}}},"finish_reason":null}}]}}"#);
        let chunk = Chunk::parse(Endpoint::Chat, data, &Limits::default()).unwrap();
        bytes.extend(screen.push(String::new(), chunk, &Still)?.into_inner());
    }
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned();
    let chunk = Chunk::parse(Endpoint::Chat, end, &Limits::default()).unwrap();
    bytes.extend(screen.push(String::new(), chunk, &Still)?.into_inner());
    let (mut end, _) = screen.finish(&Still)?;
    if end.verdicts.iter().any(GuardVerdict::blocks) {
        return Err(Blocked { verdicts: end.verdicts });
    }
    bytes.extend(end.take_held().into_inner());
    bytes.extend(end.seal("{}").into_inner());
    let (mut reader, mut events) = (EventReader::new(Limits::default()), Vec::new());
    reader.push(&bytes, &mut events).unwrap();
    assert_eq!(events.last().unwrap().data, "[DONE]");
    let said = events.iter().filter_map(|e| serde_json::from_str::<serde_json::Value>(&e.data).ok());
    Ok(said.filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect())
}

#[test]
fn identifiers_do_not_reach_the_model_and_stand_in_the_reply_again() {
    for action in [IdentifierAction::Mask, IdentifierAction::Pseudonymise] {
        let guards = masking(action);
        let (screening, mut talk) = guards.screen_request(request(NOTE), [7; 32], &Still);
        let sent = String::from_utf8(passed(screening).write("m")).unwrap();
        for secret in ["Okafor", "4471823", "04/12/2023", "555-201-3344"] {
            assert!(!sent.contains(secret), "{action:?}: {sent}");
        }
        assert!(sent.contains("metformin"), "{sent}");
        let model: serde_json::Value = serde_json::from_str(&sent).unwrap();
        let echoed = model["messages"][0]["content"].as_str().unwrap();
        let back = passed(guards.screen_reply(reply(echoed), &mut talk, &Still));
        assert_eq!(back.text(0), NOTE, "{action:?}");
        assert!(talk.notes.iter().any(|n| n.check == "G011" && n.place.to_string() == "messages[0].content"));
    }
}

#[test]
fn what_is_kept_is_flagged_or_refused_by_mode_and_role() {
    let verdict = |guards: &TextGuards| {
        let (screening, _) = guards.screen_request(request(NOTE), [7; 32], &Still);
        let worst = screening.verdicts().iter().find(|v| v.check == "G011").cloned().unwrap();
        (matches!(screening, Screening::Blocked { .. }), worst.outcome.worst())
    };
    assert_eq!(verdict(&guards(|_| {})), (false, Some(Severity::Medium)));
    assert_eq!(
        verdict(&guards(|s| s.patient_identifiers.mode = GuardMode::Block)),
        (true, Some(Severity::Medium))
    );
    let roles = |text: &str| serde_json::from_str::<RoleModes>(text).unwrap();
    let off = guards(|s| {
        s.patient_identifiers.mode = GuardMode::Block;
        s.patient_identifiers.roles = roles(r#"{"user":"off"}"#);
    });
    assert_eq!(verdict(&off), (false, None));
}

#[test]
fn an_identifier_of_somebody_else_in_the_reply_is_seen_and_the_patients_own_is_not() {
    let guards = guards(|s| s.patient_identifiers.replies = RoleMode::Flag);
    let (_, mut talk) = guards.screen_request(request(NOTE), [7; 32], &Still);
    let own = guards.screen_reply(reply("Mr. Okafor should stop metformin."), &mut talk, &Still);
    assert!(own.verdicts().iter().all(|v| v.outcome.is_clean()), "{:?}", own.verdicts());
    let other =
        guards.screen_reply(reply("Dr. Harriet Lindqvist was seen on 03/02/2021."), &mut talk, &Still);
    assert!(other.verdicts().iter().any(|v| v.check == "G011" && !v.outcome.is_clean()));
}

#[test]
fn a_stream_is_stopped_before_the_address_of_a_picture_is_whole() {
    let guards = guards(|s| s.injected_instructions.mode = GuardMode::Block);
    let text =
        "Here is the summary you asked for, in short: ![s](https://collect.example/?q=potassium) and more.";
    for step in [1, 4, 16, 200] {
        let cuts: Vec<usize> = (0..text.len()).step_by(step).collect();
        let blocked = streamed(&guards, Talk::default(), text, &cuts).unwrap_err();
        assert_eq!(blocked.verdicts[0].check, "G010", "{step}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_says_what_the_whole_reply_says_wherever_it_is_cut(
        cuts in proptest::collection::vec(0_usize..140, 0..12),
        blocking in proptest::bool::ANY,
    ) {
        let guards = guards(|s| {
            s.patient_identifiers.action = IdentifierAction::Mask;
            if blocking {
                s.injected_instructions.mode = GuardMode::Block;
            }
        });
        let (screening, talk) = guards.screen_request(request(NOTE), [7; 32], &Still);
        let sent: serde_json::Value = serde_json::from_slice(&passed(screening).write("m")).unwrap();
        let echoed = sent["messages"][0]["content"].as_str().unwrap().to_owned();
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(streamed(&guards, talk, &echoed, &cuts).unwrap(), NOTE);
    }

    #[test]
    fn no_more_than_is_allowed_is_held_back(words in proptest::collection::vec("[a-z ]{1,30}", 1..20)) {
        let guards = guards(|s| s.injected_instructions.mode = GuardMode::Block);
        let mut screen = guards.stream(Endpoint::Chat, Talk::default());
        let (mut said, mut heard) = (0, 0);
        for word in words {
            let data = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}]}}"#);
            let chunk = Chunk::parse(Endpoint::Chat, data, &Limits::default()).unwrap();
            said += word.len();
            let Ok(frame) = screen.push(String::new(), chunk, &Still) else { return Ok(()) };
            let text = String::from_utf8(frame.into_inner()).unwrap();
            let event: serde_json::Value = serde_json::from_str(text.trim_start_matches("data: ").trim()).unwrap();
            heard += event["choices"][0]["delta"]["content"].as_str().unwrap().len();
            prop_assert!(said - heard <= 64, "{} held", said - heard);
        }
    }
}
