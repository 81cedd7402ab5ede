//! L5: the pages people look at: server-rendered, live by server-sent events.
