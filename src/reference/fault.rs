//! Faults: ways in which the homeserver can be told to break one requirement.

/// The name of a fault or a quirk that a handler asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch(pub(super) &'static str);
