//! Icons as inline SVG, 16 units square, drawn with the colour of the text beside them. Decoration: the word next to
//! each says the same, so screen readers are told to pass over it.

use maud::{Markup, PreEscaped, html};

use super::words::Tone;

/// An icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Check,
    Care,
    Cross,
    Shield,
    Pause,
    Dot,
    Ring,
    Bell,
    Chain,
    Back,
    Skip,
    Drill,
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Check => r#"<circle cx="8" cy="8" r="6.5"/><path d="M5 8.3l2.1 2.1L11 6.2"/>"#,
            Self::Care => r#"<path d="M8 2.2L14.4 13.4H1.6z"/><path d="M8 6.4v3.2M8 11.6v.1"/>"#,
            Self::Cross => {
                r#"<path d="M5.2 1.6h5.6l3.6 3.6v5.6l-3.6 3.6H5.2L1.6 10.8V5.2z"/><path d="M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4"/>"#
            }
            Self::Shield => {
                r#"<path d="M8 1.6l5.2 1.8v4.2c0 3.2-2.1 5.5-5.2 6.8-3.1-1.3-5.2-3.6-5.2-6.8V3.4z"/><path d="M5.6 8h4.8"/>"#
            }
            Self::Pause => r#"<circle cx="8" cy="8" r="6.5"/><path d="M6.4 5.6v4.8M9.6 5.6v4.8"/>"#,
            Self::Dot => {
                r#"<circle cx="8" cy="8" r="6.5"/><circle class="pulse" cx="8" cy="8" r="2.4" fill="currentColor"/>"#
            }
            Self::Ring => r#"<circle cx="8" cy="8" r="6.5" stroke-dasharray="2.6 2.5"/>"#,
            Self::Bell => {
                r#"<path d="M3.4 11.6c1-1 1.2-2 1.2-4.4a3.4 3.4 0 0 1 6.8 0c0 2.4.2 3.4 1.2 4.4zM6.6 13.8h2.8"/>"#
            }
            Self::Chain => {
                r#"<path d="M6.6 9.4l2.8-2.8M7.2 4.9l1.5-1.5a2.8 2.8 0 0 1 4 4l-1.6 1.5M8.8 11.1l-1.5 1.5a2.8 2.8 0 0 1-4-4l1.6-1.5"/>"#
            }
            Self::Back => {
                r#"<circle cx="8" cy="8" r="6.5"/><path d="M10.6 10.2c0-2.6-1.4-3.4-5-3.4M7.4 4.8l-2 2 2 2"/>"#
            }
            Self::Skip => r#"<circle cx="8" cy="8" r="6.5"/><path d="M5 8h6"/>"#,
            Self::Drill => {
                r#"<path d="M2.4 9.6v-3l7.4-3.2v9.4z"/><path d="M4.6 10.4l.9 3.2h1.7l-.7-2.6M12 6.4a2.4 2.4 0 0 1 0 3.4"/>"#
            }
        }
    }
}

/// The icon alone.
pub(crate) fn icon(picture: Icon) -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor"
            stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" {
            (PreEscaped(picture.path()))
        }
    }
}

/// A word with its icon on a tinted ground.
pub(crate) fn chip(tone: Tone, picture: Icon, word: &str) -> Markup {
    html! { span class={ "chip " (tone.class()) } { (icon(picture)) span { (word) } } }
}
