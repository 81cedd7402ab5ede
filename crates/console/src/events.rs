//! `GET /events`: what moves on a page, as server-sent events. Each event is named after a fragment and carries it whole, so a reader that
//! missed some is right again with the next. The last event of each batch has the version of all fragments as its id; a browser
//! that comes back with it gets only what is new.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use app::live::Change;
use axum::extract::{Query, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::Digest;
use futures_util::stream;
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use crate::error::ConsoleError;
use crate::house::House;
use crate::pages::{Console, Shared};
use crate::session::Signed;
use crate::view::{self, View};

/// Live streams at once; each costs one rendering of its page per batch.
pub const STREAMS_MAX: usize = 64;
/// Time between two batches: twice a second is as fast as people read.
const PACE: Duration = Duration::from_millis(500);
/// Time after which a quiet stream says that it lives, looks again and asks whether the session still holds.
const BEAT: Duration = Duration::from_secs(15);
/// What the browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// What to follow and from where.
#[derive(Debug, Deserialize)]
pub(crate) struct From {
    #[serde(default)]
    page: String,
    #[serde(default)]
    since: String,
}

/// What tells a page to look again.
enum Changes {
    House(Receiver<Change>),
    Exercises(Receiver<()>),
}

impl Changes {
    /// Waits for the next; false when there will be none.
    async fn next(&mut self) -> bool {
        match self {
            Self::House(changes) => !matches!(changes.recv().await, Err(RecvError::Closed)),
            Self::Exercises(changes) => !matches!(changes.recv().await, Err(RecvError::Closed)),
        }
    }

    /// Forgets what came meanwhile.
    fn catch_up(&mut self) {
        match self {
            Self::House(changes) => *changes = changes.resubscribe(),
            Self::Exercises(changes) => *changes = changes.resubscribe(),
        }
    }
}

/// One reader.
struct Following<H> {
    console: Arc<Console<H>>,
    who: Signed,
    view: View,
    /// Version that the reader has, until the first batch.
    has: Option<String>,
    sent: BTreeMap<&'static str, Digest>,
    queue: VecDeque<Event>,
    changes: Changes,
    last: Option<Instant>,
    /// When the session was last asked for.
    asked: Instant,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

/// The handler.
pub(crate) async fn follow<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, ConsoleError> {
    let view = View::from_path(&from.page).ok_or(ConsoleError::NoPage)?;
    console.picture(&who, &view).await?;
    let permit =
        Arc::clone(&console.streams).try_acquire_owned().map_err(|_| ConsoleError::Streams(STREAMS_MAX))?;
    let seen = headers.get("last-event-id").and_then(|v| v.to_str().ok()).map_or(from.since, str::to_owned);
    let changes = match view {
        View::Live | View::System(_) => Changes::House(console.house.live().subscribe()),
        View::Exercises(_) | View::Exercise(_) => Changes::Exercises(console.house.exercise_changes().await?),
    };
    let following = Following {
        changes,
        console,
        who,
        view,
        has: Some(seen),
        sent: BTreeMap::new(),
        queue: VecDeque::from([Event::default().retry(RETRY).event("beat").data("")]),
        last: None,
        asked: Instant::now(),
        over: false,
        _permit: permit,
    };
    let events = stream::unfold(following, |mut reader| async move {
        reader.next().await.map(|event| (Ok::<_, Infallible>(event), reader))
    });
    Ok(Sse::new(events).into_response())
}

impl<H: House> Following<H> {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let beat = self.wait().await;
            // Asked by the clock and not by silence: a busy stream must notice the end of its session too.
            if self.asked.elapsed() >= BEAT {
                self.asked = Instant::now();
                if self.who.ask_again(&*self.console.house).await.is_err() {
                    self.end("the session is over");
                    continue;
                }
            }
            self.look().await;
            if beat && self.queue.is_empty() {
                self.queue.push_back(Event::default().event("beat").data(""));
            }
        }
    }

    /// Waits until there may be something new; true when it was time for a beat. Never returns sooner than [`PACE`] after the
    /// last batch.
    async fn wait(&mut self) -> bool {
        let Some(last) = self.last else { return false };
        let beat = match timeout(BEAT, self.changes.next()).await {
            Err(_) => true,
            Ok(more) => {
                self.over = !more;
                false
            }
        };
        sleep_until(last + PACE).await;
        self.changes.catch_up();
        beat
    }

    /// Renders and queues the fragments that the reader does not have.
    async fn look(&mut self) {
        self.last = Some(Instant::now());
        let Ok(picture) = self.console.picture(&self.who, &self.view).await else {
            return self.end("the picture could not be made");
        };
        let fragments =
            self.who.viewing(&*self.console.house, |viewer| self.view.fragments(&picture, viewer));
        let Some(fragments) = fragments else {
            return self.end("what the page shows is gone");
        };
        let version = view::version(&fragments);
        let current = self.has.take().is_some_and(|has| has == version);
        let mut batch = Vec::new();
        for (name, markup) in fragments {
            let digest = Digest::of(markup.0.as_bytes());
            if self.sent.insert(name, digest) != Some(digest) && !current {
                batch.push((name, markup.0.replace('\r', " ")));
            }
        }
        let count = batch.len();
        for (n, (name, html)) in batch.into_iter().enumerate() {
            let event = Event::default().event(name).data(html);
            self.queue.push_back(if n + 1 == count { event.id(&version) } else { event });
        }
    }

    fn end(&mut self, why: &str) {
        self.queue.push_back(Event::default().event("over").data(why));
        self.over = true;
    }
}
