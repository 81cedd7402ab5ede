//! dev: tests about the code base itself: layers, sizes, headers.
