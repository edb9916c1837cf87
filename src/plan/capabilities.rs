//! Capabilities for `--require`: their names, and whether the target has them. Pure.
use crate::case::ast::{Act, Feature, OPERATOR_VALUES};
use crate::model::run::{Required, Verdict};
use crate::plan::facts::{AccountFacts, Facts};
use crate::yaml::diagnostic::did_you_mean;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use strum::VariantArray as _;

/// Something that a project says its homeserver or its operator has, so that a run without it is no green one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    name: &'static str,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Flow(&'static str),
    Feature(Feature, &'static str),
    /// Users can register by themselves.
    Registration,
    /// An account that can be logged in to.
    Account,
    /// One that nobody needs.
    Disposable,
    /// By its name in `needs: [operator NAME]`.
    Operator,
}

const OF_SERVER: [Capability; 9] = [
    Capability { name: "password", what: What::Flow("m.login.password") },
    Capability { name: "token", what: What::Flow("m.login.token") },
    Capability { name: "sso", what: What::Flow("m.login.sso") },
    Capability { name: "legacy", what: What::Feature(Feature::Legacy, "the legacy login API") },
    Capability { name: "oauth", what: What::Feature(Feature::Oauth, "the OAuth 2.0 API") },
    Capability { name: "refresh", what: What::Feature(Feature::Refresh, "refresh tokens") },
    Capability {
        name: "get_token",
        what: What::Feature(Feature::GetToken, "POST /login/get_token"),
    },
    Capability {
        name: "uia_password",
        what: What::Feature(Feature::UiaPassword, "interactive auth with a password"),
    },
    Capability { name: "registration", what: What::Registration },
];

const OF_OPERATOR: [Capability; 2] = [
    Capability { name: "account", what: What::Account },
    Capability { name: "disposable", what: What::Disposable },
];

impl Capability {
    /// Every capability: the server's, then the operator's.
    pub fn all() -> impl Iterator<Item = Capability> {
        let values = OPERATOR_VALUES.iter().map(|(name, _)| *name);
        let names = values.chain(Act::VARIANTS.iter().map(|act| act.as_str()));
        // `registration` is the server's: with its token it can still be closed.
        let names = names.filter(|name| OF_SERVER.iter().all(|of_server| of_server.name != *name));
        let given = names.map(|name| Capability { name, what: What::Operator });
        OF_SERVER.into_iter().chain(OF_OPERATOR).chain(given)
    }

    pub fn as_str(self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// A word that is no [`Capability`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .help)]
pub struct UnknownCapability {
    help: String,
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Capability, UnknownCapability> {
        Capability::all().find(|one| one.name == text).ok_or_else(|| {
            let names: Vec<&str> = Capability::all().map(Capability::as_str).collect();
            let near = did_you_mean(text, names.iter().copied());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let names = names.join(", ");
            UnknownCapability {
                help: format!("`{text}` cannot be required{near} There are: {names}"),
            }
        })
    }
}

/// A sentence for each that only the operator can give and has not given.
pub fn not_given(
    required: &[Capability],
    accounts: &AccountFacts,
    operator: &BTreeSet<String>,
) -> Vec<String> {
    let missing = |one: &Capability| {
        let how = match one.what {
            What::Account if accounts.main() == 0 => {
                "give one with --accounts, or a way to create them such as --register open"
            }
            What::Disposable if !has_disposable(accounts) => {
                "give one with `disposable: true`, or a way to create them such as --register open"
            }
            What::Operator if !operator.contains(one.name) => {
                "give it under `operator:` in homespec.yaml"
            }
            _ => return None,
        };
        Some(format!("--require {one}: it was not given; {how}"))
    };
    required.iter().filter_map(missing).collect()
}

fn has_disposable(accounts: &AccountFacts) -> bool {
    accounts.can_make || accounts.given.iter().any(|account| account.disposable)
}

/// Compares `--require` with the target. `no_target` is the reason if there is no target.
pub fn all(required: &[Capability], facts: &Facts, no_target: Option<&str>) -> Vec<Required> {
    let one = |one: &Capability| {
        let (verdict, text) = match no_target {
            Some(why) => (Verdict::Blocked, format!("it is unknown: {why}")),
            None => seen(*one, facts),
        };
        Required { name: one.name.to_owned(), verdict, text: text.into() }
    };
    required.iter().map(one).collect()
}

fn seen(one: Capability, facts: &Facts) -> (Verdict, String) {
    let by_session = || facts.no_session.as_ref().map(|reason| reason.text());
    let offered = |there: bool, what: &str| match there {
        true => (Verdict::Passed, format!("the server offers {what}")),
        false => (Verdict::Failed, format!("the server does not offer {what}")),
    };
    match one.what {
        What::Flow(flow) => {
            offered(facts.flows.iter().any(|one| one == flow), &format!("the login type {flow}"))
        }
        What::Feature(feature, what) => {
            let there = facts.features.contains(&feature);
            let only_by_session = matches!(feature, Feature::Refresh | Feature::UiaPassword);
            match by_session().filter(|_| !there && only_by_session) {
                Some(why) => (
                    Verdict::Blocked,
                    format!("it is unknown whether the server offers {what}: {why}"),
                ),
                None if only_by_session && !there && facts.accounts.main() == 0 => {
                    let why = "only an account shows it, and none was given";
                    (
                        Verdict::Blocked,
                        format!("it is unknown whether the server offers {what}: {why}"),
                    )
                }
                None => offered(there, what),
            }
        }
        What::Registration => offered(facts.registers, "registration to its users"),
        What::Account | What::Disposable => match by_session() {
            Some(why) => (Verdict::Blocked, format!("no account could log in: {why}")),
            None => (Verdict::Passed, "an account was given".to_owned()),
        },
        What::Operator => (Verdict::Passed, "the operator has given it".to_owned()),
    }
}
