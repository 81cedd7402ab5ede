//! What happens between the two entries of a conversation: screen, call, screen. A server is tried after another only as long as
//! nothing of a reply has been heard.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use detect::{Frame, Screened, Screening, StreamScreen, Talk};
use domain::{Digest, GuardMode, GuardVerdict, OnInconclusive, Outcome};
use openai::{Chunk, ChunkKind, DONE, Endpoint, Request};
use tokio::sync::mpsc;
use upstream::{LanguageHeard, Listening, UpstreamError};

use crate::language::ServedUpstream;
use crate::talk::{TalkConclusion, TalkGrant, TalkReply};
use crate::{AuditReceipt, Gateway, Limits, Refusal, model};

/// Where the pieces of a streamed reply leave.
pub type Outlet = mpsc::Sender<Frame>;

/// Bytes of text up to which a body is screened on the worker's own thread: about a millisecond of guards.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// A conversation under way.
pub(crate) struct Talking<'a> {
    gateway: &'a Gateway,
    grant: &'a TalkGrant,
    limits: Limits,
    outlet: Option<&'a Outlet>,
    conclusion: TalkConclusion,
    /// Whether the server has said how many tokens it took.
    told: bool,
}

impl<'a> Talking<'a> {
    pub(crate) fn new(
        gateway: &'a Gateway,
        grant: &'a TalkGrant,
        limits: Limits,
        outlet: Option<&'a Outlet>,
    ) -> Self {
        Self { gateway, grant, limits, outlet, conclusion: TalkConclusion::started(), told: false }
    }

    /// Screen, call, screen. Each step takes what only the step before it makes.
    pub(crate) async fn run(mut self, request: Request, receipt: &AuditReceipt) -> TalkConclusion {
        let result = async {
            self.conclusion.tokens = request.tokens_estimated();
            let (screened, mut talk) = self.screen_request(request).await?;
            let heard = self.call(&screened, receipt).await?;
            match heard {
                LanguageHeard::Whole(reply) => self.screen_reply(*reply, &mut talk).await,
                LanguageHeard::Stream(listening) => {
                    self.pass_on(screened.get().endpoint(), *listening, talk).await
                }
            }
        }
        .await;
        self.conclusion.result = result;
        let Self { gateway, grant, conclusion, .. } = self;
        let metrics = &gateway.audit.metrics;
        conclusion.verdicts.iter().for_each(|v| metrics.guard(&grant.system, &v.instance, v.outcome.word()));
        conclusion
    }

    async fn screen_request(&mut self, request: Request) -> Result<(Screened<Request>, Talk), Refusal> {
        let (guards, clock) = (self.grant.version.parts.guards.clone(), self.gateway.audit.clock.clone());
        let large = request.original().len() > INLINE_BYTES_MAX;
        let key = self.stand_in_key();
        let work = move || guards.screen_request(request, key, &*clock);
        let ended = elsewhere(large, work).await;
        let (screening, talk) = ended.ok_or_else(|| self.fault())?;
        match screening {
            Screening::Passed { screened, verdicts } => {
                self.conclusion.verdicts = verdicts;
                Ok((screened, talk))
            }
            Screening::Blocked { verdicts } => Err(Refusal::Blocked { guards: self.blocked(verdicts) }),
        }
    }

    /// Stand-ins for identifiers are the same for one client, system and day, so that a conversation that sends its earlier turns again says the
    /// same names again, and nobody outside can join one day's to another's.
    fn stand_in_key(&self) -> [u8; 32] {
        let Gateway { audit, .. } = self.gateway;
        let (client, system, day) = (&self.grant.client, &self.grant.system, audit.clock.now().day());
        *audit.key.of(format!("stand-ins\n{client}\n{system}\n{day}").as_bytes()).as_bytes()
    }

    async fn screen_reply(
        &mut self,
        reply: openai::Reply,
        talk: &mut Talk,
    ) -> Result<(TalkReply, Digest), Refusal> {
        let (guards, clock) = (self.grant.version.parts.guards.clone(), self.gateway.audit.clock.clone());
        self.count(reply.usage().map(|u| u.total), reply.original().len());
        let large = reply.original().len() > INLINE_BYTES_MAX;
        let mut own = std::mem::take(talk);
        let work = move || {
            let screening = guards.screen_reply(reply, &mut own, &*clock);
            (screening, own)
        };
        let ended = elsewhere(large, work).await;
        let (screening, own) = ended.ok_or_else(|| self.fault())?;
        match screening {
            Screening::Passed { screened, verdicts } => {
                self.conclusion.verdicts.extend(verdicts);
                self.conclusion.notes = own.notes;
                let digest = self.gateway.audit.key.of(&screened.get().write("null"));
                Ok((TalkReply::Whole(screened), digest))
            }
            Screening::Blocked { verdicts } => Err(Refusal::Withheld { guards: self.blocked(verdicts) }),
        }
    }

    /// Asks one server after the other. The receipt is not read: that it exists is the point.
    async fn call(
        &mut self,
        request: &Screened<Request>,
        _receipt: &AuditReceipt,
    ) -> Result<LanguageHeard, Refusal> {
        let grant = self.grant;
        let started_us = self.gateway.audit.clock.monotonic_us();
        let mut last = Refusal::UpstreamUnreachable { system: grant.system.clone() };
        for upstream in &grant.version.parts.upstreams {
            let ServedUpstream { server, model } = upstream;
            let model = model.as_deref().unwrap_or(&grant.model);
            let asked = server.ask(request, model);
            let heard = match self.outlet {
                Some(outlet) => tokio::select! {
                    heard = asked => heard,
                    () = outlet.closed() => return Err(Refusal::CallerGone),
                },
                None => asked.await,
            };
            self.conclusion.model = Some(upstream.identity(model));
            self.conclusion.model_us = self.gateway.audit.clock.monotonic_us().saturating_sub(started_us);
            match heard {
                Ok(heard) => return Ok(heard),
                Err(UpstreamError::Refused { detail, .. }) if detail.as_word().is_some() => {
                    let code = detail.as_word().unwrap_or_default().to_owned();
                    return Err(Refusal::UpstreamDeclined { code });
                }
                Err(error) => last = model::refusal(&grant.system, error),
            }
        }
        Err(last)
    }

    /// Reads the reply's events, screens them, and lets go what may leave.
    async fn pass_on(
        &mut self,
        endpoint: Endpoint,
        mut listening: Listening,
        talk: Talk,
    ) -> Result<(TalkReply, Digest), Refusal> {
        let Some(outlet) = self.outlet else {
            return Err(Refusal::ModelFailed { detail: "a stream has nowhere to go".to_owned() });
        };
        let (version, clock) = (self.grant.version.clone(), self.gateway.audit.clock.clone());
        let mut screen = version.parts.guards.stream(endpoint, talk);
        let mut digest = self.gateway.audit.key.pieces();
        let (mut bytes, mut complete) = (0_usize, false);
        while !complete {
            let next = tokio::select! {
                next = listening.next() => next,
                () = outlet.closed() => return Err(Refusal::CallerGone),
            };
            let Some(event) = next.map_err(|error| model::refusal(&self.grant.system, error))? else { break };
            if event.data == DONE {
                complete = true;
                break;
            }
            let chunk = Chunk::parse(endpoint, event.data, &self.limits.text)
                .map_err(|error| Refusal::UpstreamBadReply { detail: error.to_string() })?;
            let said: usize = chunk.deltas().iter().map(|(_, piece)| chunk.text(*piece).len()).sum();
            bytes = bytes.saturating_add(said);
            self.count(chunk.usage().map(|u| u.total), bytes);
            if chunk.kind() == ChunkKind::Failed {
                let detail = "it said in its stream that it failed".to_owned();
                return Err(Refusal::UpstreamBadReply { detail });
            }
            // The stream of a response has no mark behind its last event.
            complete = endpoint == Endpoint::Responses && chunk.kind() == ChunkKind::End;
            let frame = self.pushed(&mut screen, event.name, chunk)?;
            send(outlet, frame, &mut digest).await?;
        }
        if !complete {
            return Err(Refusal::UpstreamBadReply { detail: "its stream ended before the end".to_owned() });
        }
        let end = catch_unwind(AssertUnwindSafe(|| screen.finish(&*clock)));
        let end = end.map_err(|_| self.fault())?;
        let (mut end, talk) =
            end.map_err(|blocked| Refusal::Withheld { guards: self.blocked(blocked.verdicts) })?;
        self.conclusion.verdicts.extend(end.verdicts.clone());
        self.conclusion.notes = talk.notes;
        if self.conclusion.verdicts.iter().any(GuardVerdict::blocks) {
            return Err(Refusal::Withheld { guards: self.blocked(Vec::new()) });
        }
        send(outlet, end.take_held(), &mut digest).await?;
        Ok((TalkReply::Stream(Box::new(end)), digest.finish()))
    }

    fn pushed(
        &mut self,
        screen: &mut StreamScreen<'_>,
        name: String,
        chunk: Chunk,
    ) -> Result<Frame, Refusal> {
        let clock = self.gateway.audit.clock.clone();
        let pushed = catch_unwind(AssertUnwindSafe(|| screen.push(name, chunk, &*clock)));
        let pushed = pushed.map_err(|_| self.fault())?;
        pushed.map_err(|blocked| Refusal::Withheld { guards: self.blocked(blocked.verdicts) })
    }

    /// Tokens as the server says, or a quarter of the reply's bytes on top of those of the request.
    fn count(&mut self, said: Option<u64>, bytes: usize) {
        self.told |= said.is_some();
        match said {
            Some(tokens) => self.conclusion.tokens = tokens,
            None if !self.told => {
                self.conclusion.tokens = self.grant.tokens().saturating_add(bytes as u64 / 4);
            }
            None => {}
        }
    }

    /// Adds verdicts and names the guards that block.
    fn blocked(&mut self, verdicts: Vec<GuardVerdict>) -> Vec<String> {
        self.conclusion.verdicts.extend(verdicts);
        let blocking = self.conclusion.verdicts.iter().filter(|v| v.blocks());
        blocking.map(|v| v.instance.to_string()).collect()
    }

    /// A guard that panicked could not decide, and stops the exchange.
    fn fault(&mut self) -> Refusal {
        self.gateway.audit.metrics.panics.fetch_add(1, Ordering::Relaxed);
        let verdict = GuardVerdict {
            instance: "guard-fault".into(),
            check: "E016".into(),
            mode: GuardMode::Block,
            on_inconclusive: OnInconclusive::Block,
            outcome: Outcome::inconclusive("E016", "a guard failed with a fault of the program"),
            took_us: 0,
        };
        Refusal::Blocked { guards: self.blocked(vec![verdict]) }
    }
}

/// Sends a piece on; an empty one is not worth a packet.
async fn send(outlet: &Outlet, frame: Frame, digest: &mut crate::keyed::Pieces) -> Result<(), Refusal> {
    if frame.get().is_empty() {
        return Ok(());
    }
    digest.update(frame.get());
    outlet.send(frame).await.map_err(|_| Refusal::CallerGone)
}

/// Runs `work` here, or in the pool when it is large; none when it panicked.
async fn elsewhere<T: Send + 'static>(large: bool, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if large {
        return Box::pin(tokio::task::spawn_blocking(work)).await.ok();
    }
    catch_unwind(AssertUnwindSafe(work)).ok()
}
