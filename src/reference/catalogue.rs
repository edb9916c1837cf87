//! What a fault and a quirk are.

use super::edit::{Edit, Turn};
use serde::Deserialize;

/// The clause of what is no homeserver's doing.
pub(super) const NO_CLAUSE: &str = "None: it is not the homeserver that answers";

/// How a fault or a quirk is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The homeserver does something else.
    Behaviour,
    /// It does the right thing, and its finished answer is edited. Any homeserver's answer can be: see [`front`].
    ///
    /// [`front`]: super::front
    Data,
    /// The same, made from the published schema of the answer: see [`schema_mutations`](super::schema_mutations).
    Shape,
}

impl Kind {
    /// `behaviour`, `data` or `shape`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Behaviour => "behaviour",
            Self::Data => "data",
            Self::Shape => "shape",
        }
    }

    /// Whether it changes finished answers and nothing else.
    pub fn is_edit(self) -> bool {
        self != Self::Behaviour
    }
}

/// The answers that a fault or a quirk made from a schema changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The `operationId`.
    pub operation: &'static str,
    /// The status.
    pub status: u16,
    /// Whether it is about challenges of interactive auth, and not about errors with the same status.
    pub challenge: bool,
    /// JSON Pointer to what is changed in the body, with `*` for all items or members; empty for the whole answer.
    pub pointer: &'static str,
}

/// What must be set up for a fault to show, beyond the default settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing: it shows with the default settings.
    #[default]
    Nothing,
    /// A limit on logins.
    LoginLimit,
    /// `POST /v1/login/get_token` is not offered.
    NoGetToken,
    /// Users may not make login tokens.
    NoLoginTokens,
    /// OAuth metadata is served.
    Oauth,
    /// OAuth metadata is served, and the legacy API is not offered.
    NoLegacy,
    /// Single sign-on is offered.
    Sso,
    /// Single sign-on is offered, and OAuth metadata served.
    SsoAndOauth,
    /// The same, and single sign-on is preferred for OAuth-aware clients.
    OauthAware,
    /// Single sign-on is offered, and is a stage of interactive auth too.
    SsoStage,
    /// Single sign-on is offered, and its provider has an icon.
    ProviderIcon,
    /// Only releases before v1.1 are listed.
    OnlyR0,
    /// Only releases before v1.15 are listed, in which there is no API but the legacy one.
    OnlyLegacy,
    /// What an operator knows is there: an application service, an administrator, addresses that are bound.
    Operator,
    /// An application service is there, OAuth metadata is served, and the legacy API is not offered.
    ServiceNoLegacy,
    /// Registration asks for the token `homespec` in a stage before the dummy stage.
    TwoStages,
    /// Nobody may register.
    NoRegistration,
    /// Guests may not register.
    NoGuests,
    /// OAuth metadata is served, and `m.oauth` confirms new cross-signing keys.
    OauthStage,
    /// Access tokens with a refresh token, and login tokens, live half a second.
    ShortLives,
    /// The first request to each operation is refused for its rate.
    Throttled,
    /// `m.login.cas` is offered.
    Cas,
    /// The well-known file is reached by a redirect.
    WellKnownRedirect,
    /// A request that has passed interactive auth and is sent again has the same answer.
    RepeatedAnswers,
}

/// A way to break one requirement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Its name, unique among faults and quirks, for [`Settings::faults`](super::Settings::faults).
    pub name: &'static str,
    /// The id of the requirement in the register.
    pub requirement: &'static str,
    /// Ids of other requirements that an observer of the whole surface rightly calls broken too. Lists that several
    /// faults share may name the requirement itself once more.
    pub also: &'static [&'static str],
    /// The clause of the specification that is broken.
    pub clause: &'static str,
    /// What the homeserver does instead.
    pub about: &'static str,
    /// How it is made.
    pub kind: Kind,
    /// What must be set up for it to show.
    pub needs: Need,
    /// Whether the violation is only worth a warning, whatever the level: null in place of an optional member.
    pub mild: bool,
    /// Which answers it changes, if it was made from their schema.
    pub place: Option<Place>,
    /// Whether it shows only now and then, by a count of its own.
    pub(super) sometimes: bool,
    pub(super) edits: &'static [Edit],
}

impl Fault {
    /// Whether it shows each time that there is occasion for it, and not only in some of the answers.
    pub fn is_steady(&self) -> bool {
        !self.sometimes && self.edits.iter().all(|edit| edit.turn == Turn::Each)
    }
}

/// A way to differ legally.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quirk {
    /// Its name, unique among faults and quirks, for [`Settings::quirks`](super::Settings::quirks).
    pub name: &'static str,
    /// What the homeserver does.
    pub about: &'static str,
    /// The clause that leaves the room.
    pub clause: &'static str,
    /// Ids of requirements whose verdict may be another than without the quirk: warned for advice that is not followed,
    /// skipped for what is not offered, passed for what is offered only with it; never failed.
    pub changes: &'static [&'static str],
    /// What must be set up for it to show.
    pub needs: Need,
    /// Which answers it changes, if it was made from their schema.
    pub place: Option<Place>,
    /// Whether it shows only now and then, by a count of its own.
    pub(super) sometimes: bool,
    pub(super) edits: &'static [Edit],
}

impl Quirk {
    /// How it is made.
    pub fn kind(&self) -> Kind {
        match () {
            () if self.place.is_some() => Kind::Shape,
            () if !self.edits.is_empty() => Kind::Data,
            () => Kind::Behaviour,
        }
    }

    /// Whether it is the doing of something in front of the homeserver, and so no legal difference of a homeserver.
    pub fn is_of_gateway(&self) -> bool {
        self.clause == NO_CLAUSE
    }

    /// Whether it shows each time that there is occasion for it, and not only in some of the answers. Which requests meet
    /// a limit depends on time.
    pub fn is_steady(&self) -> bool {
        !self.sometimes && self.needs != Need::LoginLimit
    }
}

/// Faults and quirks beside those of the tables, by whose names they can be switched on too: those made from schemas.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Catalogue {
    /// Faults.
    pub faults: &'static [Fault],
    /// Quirks.
    pub quirks: &'static [Quirk],
}
