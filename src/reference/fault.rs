//! Faults: ways in which the homeserver can be told to break one requirement, and everything else stays by the book.
//!
//! They are written from the clauses of the specification. Most are data: an edit of finished answers. The others are
//! switches that a handler asks for; each is a constant, so that one nobody asks for is a warning of the compiler.
//!
//! To add one, write it into the table of its area from the clause alone, without looking at a case: an edit where the
//! finished answer can simply be changed, else a switch and the place in the handler that asks for it. Think of every
//! requirement that an observer then sees broken, and name them in `also`. A test walks over the surface with each
//! fault and wants to see it; where the walk does not lead past the new one, lengthen it.

mod device;
mod discovery;
mod lists;
mod login;
mod operator;
mod session;
mod turn;
mod uia;
mod wire;

pub(super) use device::switches::*;
pub(super) use discovery::switches::*;
pub(super) use login::switches::*;
pub(super) use operator::switches::*;
pub(super) use session::switches::*;
pub(super) use uia::switches::*;
pub(super) use wire::switches::*;

use super::edit::{Change, Edit, Turn, When};
use super::limit::Limit;
use super::quirk::{
    CAS, OAUTH_AWARE, PROVIDER_ICON, SSO_STAGE, THROTTLED_FIRST, WELL_KNOWN_REDIRECT,
};
use super::route::Operation;
use super::{Settings, release};
use std::sync::LazyLock;
use std::time::Duration;

/// The name of a fault or a quirk that a handler asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch(pub(super) &'static str);

/// How a fault or a quirk is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The homeserver does something else.
    Behaviour,
    /// It does the right thing, and its finished answer is edited. Any homeserver's answer can be: see [`front`].
    ///
    /// [`front`]: super::front
    Data,
    /// The same, made from the published schema of the answer: see [`schema_mutations`].
    ///
    /// [`schema_mutations`]: super::schema_mutations
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Nothing: it shows with the default settings.
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
    /// Access tokens with a refresh token, and login tokens, live half a second.
    ShortLives,
    /// The first request to each operation is refused for its rate.
    Throttled,
    /// `m.login.cas` is offered.
    Cas,
    /// The well-known file is reached by a redirect.
    WellKnownRedirect,
}

impl Need {
    /// The settings with what is needed.
    #[must_use]
    pub fn met(self, mut settings: Settings) -> Settings {
        match self {
            Self::Nothing => {}
            Self::LoginLimit => settings.login_limit = Some(Limit { burst: 10, per_second: 5.0 }),
            Self::NoGetToken => settings.get_token = false,
            Self::NoLoginTokens => settings.login_tokens_allowed = false,
            Self::Oauth => settings.oauth = true,
            Self::NoLegacy => (settings.legacy, settings.oauth) = (false, true),
            Self::Sso => settings.sso = true,
            Self::SsoAndOauth => (settings.sso, settings.oauth) = (true, true),
            Self::OauthAware => {
                (settings.sso, settings.oauth) = (true, true);
                settings.quirks.push(OAUTH_AWARE.0.to_owned());
            }
            Self::SsoStage => {
                settings.sso = true;
                settings.quirks.push(SSO_STAGE.0.to_owned());
            }
            Self::ProviderIcon => {
                settings.sso = true;
                settings.quirks.push(PROVIDER_ICON.0.to_owned());
            }
            Self::OnlyLegacy => {
                let published = release::PUBLISHED.iter();
                settings.versions =
                    published.take_while(|name| **name != "v1.15").map(|&n| n.into()).collect();
            }
            Self::OnlyR0 => {
                settings.versions = release::PUBLISHED
                    .iter()
                    .filter(|name| name.starts_with('r'))
                    .map(|&n| n.into())
                    .collect();
            }
            Self::Operator => operator::set_up(&mut settings),
            Self::ServiceNoLegacy => {
                operator::set_up(&mut settings);
                (settings.legacy, settings.oauth) = (false, true);
            }
            Self::TwoStages => settings.registration_token = Some("homespec".to_owned()),
            Self::Throttled => settings.quirks.push(THROTTLED_FIRST.0.to_owned()),
            Self::Cas => settings.quirks.push(CAS.0.to_owned()),
            Self::WellKnownRedirect => {
                settings.quirks.push(WELL_KNOWN_REDIRECT.0.to_owned());
                // The release that says what such a redirect carries.
                settings.versions.push("v1.20".to_owned());
            }
            Self::ShortLives => {
                settings.access_lifetime = Some(Duration::from_millis(500));
                settings.login_token_lifetime = Duration::from_millis(500);
            }
        }
        settings
    }
}

/// A way to break one requirement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Its name, unique among faults and quirks, for [`Settings::faults`].
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
    pub(super) edits: &'static [Edit],
}

/// Behaviours that count what they see, so that who meets them depends on the order of the requests.
const NOW_AND_THEN: [Switch; 2] = [TOKEN_DEAD_SOMETIMES, LOGOUT_THIRD_NOTHING];

impl Fault {
    /// Settings with which the fault is switched on and can show.
    #[must_use]
    pub fn settings(&self, base: Settings) -> Settings {
        let mut settings = self.needs.met(base);
        settings.faults.push(self.name.to_owned());
        settings
    }

    /// Whether it shows each time that there is occasion for it, and not only in some of the answers.
    pub fn is_steady(&self) -> bool {
        let counts = NOW_AND_THEN.iter().any(|switch| switch.0 == self.name);
        !counts && self.edits.iter().all(|edit| edit.turn == Turn::Each)
    }

    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    const fn needs(self, needs: Need) -> Self {
        Self { needs, ..self }
    }
}

/// All faults, by area.
pub fn faults() -> &'static [Fault] {
    static ALL: LazyLock<Vec<Fault>> = LazyLock::new(|| {
        let data = [
            wire::DATA,
            discovery::DATA,
            login::DATA,
            device::DATA,
            session::DATA,
            uia::DATA,
            operator::DATA,
        ];
        let behaviour = [
            wire::switches::TABLE,
            discovery::switches::TABLE,
            login::switches::TABLE,
            device::switches::TABLE,
            session::switches::TABLE,
            uia::switches::TABLE,
            operator::switches::TABLE,
        ];
        data.into_iter()
            .zip(behaviour)
            .flat_map(|(data, behaviour)| data.iter().chain(behaviour))
            .chain(turn::DATA)
            .copied()
            .collect()
    });
    &ALL
}

/// A fault that edits finished answers.
const fn data(
    name: &'static str,
    requirement: &'static str,
    clause: &'static str,
    about: &'static str,
    edits: &'static [Edit],
) -> Fault {
    Fault {
        name,
        requirement,
        also: &[],
        clause,
        about,
        kind: Kind::Data,
        needs: Need::Nothing,
        mild: false,
        place: None,
        edits,
    }
}

/// An edit of all answers that qualify.
const fn edit(on: &'static [Operation], when: When, changes: &'static [Change]) -> Edit {
    Edit { on, when, turn: Turn::Each, changes }
}

/// Declares faults that handlers ask for: a constant for each, and the table of all.
macro_rules! behaviours {
    ($($constant:ident $name:literal breaks $requirement:literal, also $also:expr, $(needs $need:ident,)?
       $clause:literal, $about:literal;)*) => {
        pub(in crate::reference) mod switches {
            use super::super::{Fault, Kind, Need, Switch};
            #[allow(unused_imports, reason = "not every table shares lists of ids")]
            use super::*;
            $(
                #[doc = $about]
                pub(in crate::reference) const $constant: Switch = Switch($name);
            )*
            pub(in crate::reference) static TABLE: &[Fault] = &[$(
                Fault {
                    name: $name, requirement: $requirement, also: $also, clause: $clause, about: $about,
                    kind: Kind::Behaviour, needs: behaviours!(@need $($need)?),
                    mild: false, place: None, edits: &[],
                },
            )*];
        }
    };
    (@need) => { Need::Nothing };
    (@need $need:ident) => { Need::$need };
}
use behaviours;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut seen = HashSet::new();
        for fault in faults() {
            assert!(seen.insert(fault.name), "{} twice", fault.name);
            assert!(
                fault
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                fault.name
            );
            assert!(!fault.clause.is_empty() && !fault.about.is_empty(), "{}", fault.name);
        }
        for quirk in super::super::quirks() {
            assert!(seen.insert(quirk.name), "{} twice", quirk.name);
        }
    }

    #[test]
    fn texts_of_edits_are_json() {
        for change in faults().iter().flat_map(|fault| fault.edits).flat_map(|edit| edit.changes) {
            if let Change::Put(_, text) | Change::Replace(_, text) | Change::Push(_, text) = change
            {
                assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
            }
        }
    }

    /// The ids of the register, read as text: this module uses nothing of the rest of the crate.
    #[test]
    fn requirements_are_in_the_register() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/requirements.yaml");
        let Ok(register) = std::fs::read_to_string(path) else { return };
        let ids: HashSet<&str> = register
            .lines()
            .filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("id:"))
            .map(|id| id.trim().trim_matches('"'))
            .collect();
        for fault in faults() {
            for id in std::iter::once(&fault.requirement).chain(fault.also) {
                assert!(ids.contains(id), "{}: no requirement {id}", fault.name);
            }
        }
        for quirk in super::super::quirks() {
            for id in quirk.changes {
                assert!(ids.contains(id), "{}: no requirement {id}", quirk.name);
            }
        }
    }
}
