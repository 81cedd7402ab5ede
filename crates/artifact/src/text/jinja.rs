//! Judges chat templates.

use crate::{Context, Part};

/// Judges one template and reports what is dangerous in it.
pub(crate) fn judge(source: &str, part: &mut Part, cx: &mut Context<'_>) {
    crate::payload::text(source, "the chat template", None, part, cx);
}
