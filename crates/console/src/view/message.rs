//! Pages that are mostly one message: signing in, and errors that say what to do.

use maud::{DOCTYPE, Markup, html};

use super::icons::{Icon, icon};
use super::words::{coded, sentence};
use crate::assets;

/// How to sign in, with the reason why it is needed now.
pub(crate) fn sign_in(reason: &str) -> Markup {
    html! {
        div class="message" {
            h1 { "Sign in" }
            p data-problem { (coded(&sentence(reason))) }
            p { "The console opens with a link that works once and for 15 minutes. Make one where Asepsis runs:" }
            pre { code { "asepsis sign-in" } }
            p { "and open the address that it prints in this browser." }
        }
    }
}

/// What went wrong and what to do next.
pub(crate) fn problem(title: &str, message: &str, next: &str) -> Markup {
    html! {
        div class="message" {
            p class="problem-mark" { (icon(Icon::Care)) }
            h1 { (title) }
            p data-problem { (coded(&sentence(message))) }
            p { (next) }
            p { a class="button" href="/" { "Back to the live page" } }
        }
    }
}

/// A page that asks for itself again. A browser that comes from another site's link holds back the `SameSite=Strict` cookie; it
/// sends it when our own page asks.
pub(crate) fn moment_please() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0;url=/";
                title { "Asepsis" }
                link rel="stylesheet" href=(assets::STYLE.path());
            }
            body { main class="message" { p { a href="/" { "Open the live page" } } } }
        }
    }
}
