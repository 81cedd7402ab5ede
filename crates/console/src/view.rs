//! Pages as pure functions: what is known comes in, markup goes out. Nothing here asks, waits or reads a clock.
//!
//! A page is made of fragments with fixed ids. The same functions make them for the first answer and for the live stream, so that
//! what moves on a page is what a reload would show.

mod alarms;
mod artefact;
mod catalogue;
mod charts;
mod clients;
mod compared;
mod curves;
mod exercise;
mod exercises;
mod gate;
mod icons;
mod layout;
mod live;
mod markdown;
mod message;
mod receipt;
mod rehearsal;
mod system;
mod systems;
mod traffic;
mod words;

use std::sync::Arc;

use access::{Action, Resource};
use app::catalogue::Page;
use app::exercises::{CardId, Listing};
use app::overview::Overview;
use domain::SystemId;
use maud::Markup;

pub(crate) use artefact::page as artefact_page;
pub(crate) use catalogue::{entry as catalogue_entry, index as catalogue_index};
pub(crate) use compared::page as compared_page;
pub(crate) use exercise::Seen;
pub(crate) use layout::{Notice, Shell, shell};
pub(crate) use message::{moment_please, problem, sign_in};
pub(crate) use receipt::{answer as answer_page, page as receipt_page};

/// Who looks, what they may do, and what they need to be told.
pub struct Viewer<'a> {
    /// Account.
    pub account: &'a str,
    /// Roles, in words.
    pub roles: String,
    /// Token that each form carries.
    pub csrf: &'a str,
    /// Asks the policies.
    pub may: &'a dyn Fn(Action, &Resource) -> bool,
    /// The catalogue, for titles of what a page names.
    pub catalogue: &'a [Page],
}

impl Viewer<'_> {
    fn may_on_system(&self, action: Action, system: &SystemId) -> bool {
        (self.may)(action, &Resource::System(system.clone()))
    }

    fn may_on_hospital(&self, action: Action) -> bool {
        (self.may)(action, &Resource::Hospital)
    }

    /// The first line of a catalogue page, empty when there is none.
    fn summary(&self, id: &str) -> &str {
        self.catalogue.iter().find(|p| p.id == id).map_or("", Page::summary)
    }
}

/// A page with live parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// Everything.
    Live,
    /// One system.
    System(SystemId),
    /// All exercises, perhaps with a system chosen in the form.
    Exercises(Option<SystemId>),
    /// One exercise or scorecard.
    Exercise(CardId),
}

/// What a page with live parts is made from.
pub(crate) enum Picture {
    /// The house.
    House(Arc<Overview>),
    /// All exercises.
    Exercises(Box<Listing>),
    /// One exercise.
    Exercise(Box<exercise::Seen>),
}

impl View {
    /// Address of the page.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Live => "/".to_owned(),
            Self::System(id) => format!("/systems/{id}"),
            Self::Exercises(_) => "/exercises".to_owned(),
            Self::Exercise(id) => format!("/exercises/{id}"),
        }
    }

    /// Reads an address; `None` for pages without live parts.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        match (path, path.strip_prefix("/systems/"), path.strip_prefix("/exercises/")) {
            ("/", ..) => Some(Self::Live),
            ("/exercises", ..) => Some(Self::Exercises(None)),
            (_, Some(id), _) => id.parse().ok().map(Self::System),
            (_, _, Some(id)) => id.parse().ok().map(Self::Exercise),
            _ => None,
        }
    }

    /// Title of the page.
    pub(crate) fn title(&self, picture: &Picture) -> String {
        match (self, picture) {
            (Self::System(id), Picture::House(all)) => {
                all.systems.iter().find(|s| s.id == *id).map_or_else(|| id.to_string(), |s| s.title.clone())
            }
            (_, Picture::House(all)) => all.hospital.clone(),
            (_, Picture::Exercises(_)) => "Exercises".to_owned(),
            (_, Picture::Exercise(seen)) => exercise::title(seen),
        }
    }

    /// The live parts in order; each is one element with the given id. `None` when what the view shows is not there.
    pub(crate) fn fragments(
        &self,
        picture: &Picture,
        viewer: &Viewer<'_>,
    ) -> Option<Vec<(&'static str, Markup)>> {
        match (self, picture) {
            (Self::System(id), Picture::House(all)) => {
                let card = all.systems.iter().find(|s| s.id == *id)?;
                Some(system::fragments(card, all, viewer))
            }
            (_, Picture::House(all)) => Some(live::fragments(all, viewer)),
            (_, Picture::Exercises(listing)) => Some(exercises::fragments(listing, viewer)),
            (_, Picture::Exercise(seen)) => Some(exercise::fragments(seen, viewer)),
        }
    }

    /// The inside of `main`, with the fragments in their places.
    pub(crate) fn body(
        &self,
        picture: &Picture,
        fragments: &[(&'static str, Markup)],
        viewer: &Viewer<'_>,
    ) -> Markup {
        match (self, picture) {
            (Self::System(_), Picture::House(_)) => system::body(&self.title(picture), fragments),
            (_, Picture::House(all)) => live::body(all, fragments),
            (Self::Exercises(chosen), Picture::Exercises(listing)) => {
                exercises::body(listing, fragments, chosen.as_ref(), viewer)
            }
            (_, Picture::Exercises(listing)) => exercises::body(listing, fragments, None, viewer),
            (_, Picture::Exercise(seen)) => exercise::body(seen, fragments),
        }
    }
}

/// The fragment with that id.
fn part<'a>(fragments: &'a [(&'static str, Markup)], id: &str) -> Option<&'a Markup> {
    fragments.iter().find(|(name, _)| *name == id).map(|(_, markup)| markup)
}

/// The whole live page, as the server sends it.
pub fn page(all: &Overview, viewer: &Viewer<'_>) -> Markup {
    let view = View::Live;
    let fragments = live::fragments(all, viewer);
    let shell_of = Shell {
        title: &all.hospital,
        viewer: Some(viewer),
        live: Some((&view, &version(&fragments))),
        notice: None,
        main: live::body(all, &fragments),
    };
    shell(&shell_of)
}

/// A digest of what a set of fragments shows: equal digests, equal pages.
pub(crate) fn version(fragments: &[(&'static str, Markup)]) -> String {
    let mut hasher = domain::Hasher::new();
    for (name, markup) in fragments {
        hasher.field(name.as_bytes()).field(markup.0.as_bytes());
    }
    hasher.finish().short()
}
