//! The frame around every page: head, skip link, navigation, notice, connection banner, foot.

use maud::{DOCTYPE, Markup, html};

use super::icons::{Icon, icon};
use super::{View, Viewer};
use crate::assets;

/// Seconds between reloads where there is no script.
const NOSCRIPT_REFRESH_S: u32 = 10;

/// What an action has just done, in fixed words: nothing of the address is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    Acknowledged,
    Quarantined,
    Lifted,
    Suspended,
    Resumed,
    Accepted,
    Flagged,
    Reviewed,
    Readmitted,
    Reloaded,
    Started,
    Stopped,
    GoesOn,
    Removed,
    Received,
}

impl Notice {
    const ALL: [(Self, &'static str, &'static str); 15] = [
        (
            Self::Acknowledged,
            "acknowledged",
            "Alarm acknowledged. It is written in the ledger that you have it.",
        ),
        (Self::Quarantined, "quarantined", "Client quarantined. Its requests are refused from now on."),
        (Self::Lifted, "lifted", "Quarantine lifted. The client's requests are screened as usual."),
        (Self::Suspended, "suspended", "System suspended. It gives no answers until somebody resumes it."),
        (Self::Resumed, "resumed", "System resumed. It answers as far as its gate allows."),
        (
            Self::Accepted,
            "accepted",
            "Risk accepted for a limited time. Your reason is written in the ledger.",
        ),
        (Self::Flagged, "flagged", "Answer flagged. An alarm tells the people who answer for the system."),
        (Self::Reviewed, "reviewed", "Review written down as evidence."),
        (Self::Readmitted, "readmitted", "Admission made again. The gate shows what the new evidence says."),
        (Self::Reloaded, "reloaded", "Configuration loaded. Gates and guards follow it from now on."),
        (Self::Started, "started", "Exercise started. You may close this page: it needs nobody to watch it."),
        (Self::Stopped, "stopped", "The exercise stops after the piece it works on. What is done is kept."),
        (Self::GoesOn, "goes-on", "The exercise goes on. What was finished is not done again."),
        (Self::Removed, "removed", "Removed. Evidence in the ledger, and the copy that it names, stay."),
        (
            Self::Received,
            "received",
            "Scorecard kept. Compare it with one of yours; it never becomes evidence here.",
        ),
    ];

    /// The word in the address.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|n| n.0 == self).map_or("", |n| n.1)
    }

    /// The sentence on the page.
    fn text(self) -> &'static str {
        Self::ALL.iter().find(|n| n.0 == self).map_or("", |n| n.2)
    }

    /// Reads the word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|n| n.1 == word).map(|n| n.0)
    }
}

/// What the frame needs.
pub(crate) struct Shell<'a> {
    /// Title of the page.
    pub(crate) title: &'a str,
    /// Who looks; none before signing in.
    pub(crate) viewer: Option<&'a Viewer<'a>>,
    /// The live view on the page and the version of its fragments.
    pub(crate) live: Option<(&'a View, &'a str)>,
    /// What was just done.
    pub(crate) notice: Option<Notice>,
    /// The inside of `main`.
    pub(crate) main: Markup,
}

/// A whole document.
pub(crate) fn shell(page: &Shell<'_>) -> Markup {
    let events = page.live.map(|(view, version)| format!("/events?page={}&since={version}", view.path()));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " – Asepsis" }
                link rel="stylesheet" href=(assets::STYLE.path());
                link rel="icon" type="image/svg+xml" href=(assets::MARK.path());
                script type="module" src=(assets::SCRIPT.path()) {}
                @if page.live.is_some() {
                    noscript { meta http-equiv="refresh" content=(NOSCRIPT_REFRESH_S); }
                }
            }
            body data-events=[events] {
                a class="skip" href="#main" { "Skip to content" }
                (banner(page))
                div id="connection" role="alert" {}
                main id="main" tabindex="-1" {
                    div id="notice" role="status" {
                        @if let Some(notice) = page.notice { p class="notice tone-good" { (icon(Icon::Check)) span { (notice.text()) } } }
                    }
                    (page.main)
                }
                footer {
                    p { "Asepsis " (env!("CARGO_PKG_VERSION")) " · times in " span data-zone { "UTC" } }
                    p { "Advice helps people decide; it does not decide for them." }
                }
            }
        }
    }
}

fn banner(page: &Shell<'_>) -> Markup {
    let here =
        |path: &str| (page.live.map(|(view, _)| view.path()).as_deref() == Some(path)).then_some("page");
    html! {
        header class="bar" {
            a class="brand" href="/" {
                svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" focusable="false" {
                    circle cx="16" cy="16" r="13" fill="none" stroke="currentColor" stroke-width="2.5" {}
                    path d="M9 20c3-9 11-9 14 0M12 20c2-4.500 6-4.500 8 0M16 8v3" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" {}
                }
                span { "Asepsis" }
            }
            @if let Some(viewer) = page.viewer {
                nav aria-label="Pages" {
                    a href="/" aria-current=[here("/")] { "Live" }
                    @if viewer.may_on_hospital(access::Action::ViewExercise) {
                        a href="/exercises" aria-current=[here("/exercises")] { "Exercises" }
                    }
                    a href="/catalogue" { "Catalogue" }
                }
                div class="who" {
                    p { span class="hidden" { "Signed in as " } b { (viewer.account) } " " span class="roles" { (viewer.roles) } }
                    @if viewer.may_on_hospital(access::Action::ReloadConfiguration) {
                        form method="post" action="/reload" data-inline {
                            (csrf(viewer)) (back(&page.live.map_or_else(|| "/".to_owned(), |(view, _)| view.path())))
                            button class="plain" { "Reload configuration" }
                        }
                    }
                    form method="post" action="/sign-out" {
                        (csrf(viewer))
                        button class="plain" { "Sign out" }
                    }
                }
            }
        }
    }
}

/// The hidden token of every form.
pub(crate) fn csrf(viewer: &Viewer<'_>) -> Markup {
    html! { input type="hidden" name="csrf" value=(viewer.csrf); }
}

/// The hidden address to come back to.
pub(crate) fn back(path: &str) -> Markup {
    html! { input type="hidden" name="back" value=(path); }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_has_its_word_and_sentence() {
        for (notice, word, text) in Notice::ALL {
            assert_eq!(Notice::parse(word), Some(notice));
            assert_eq!(notice.word(), word);
            assert!(notice.text().ends_with('.') && text == notice.text());
        }
        assert_eq!(Notice::parse("<script>"), None);
    }
}
