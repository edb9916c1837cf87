//! How the homeserver is set up so that a fault or a quirk can show.

use super::catalogue::{Fault, Need, Quirk};
use super::limit::Limit;
use super::release;
use super::settings::{Appservice, Settings, ThirdParty};
use std::time::Duration;

impl Fault {
    /// Settings with which the fault is switched on and can show.
    #[must_use]
    pub fn settings(&self, base: Settings) -> Settings {
        let mut settings = self.needs.met(base);
        settings.faults.push(self.name.to_owned());
        settings
    }
}

impl Quirk {
    /// Settings with which the quirk is switched on and can show.
    #[must_use]
    pub fn settings(&self, base: Settings) -> Settings {
        let mut settings = self.needs.met(base);
        settings.quirks.push(self.name.to_owned());
        settings
    }
}

impl Need {
    /// The settings with what is needed.
    #[must_use]
    pub fn met(self, mut settings: Settings) -> Settings {
        match self {
            Self::Nothing => {}
            Self::LoginLimit => {
                settings.login_limit = Some(Limit { burst: 10, per_second: 5.0 });
                settings.get_token_limit = Some(Limit { burst: 6, per_second: 2.0 });
            }
            Self::NoGetToken => settings.get_token = false,
            Self::NoLoginTokens => settings.login_tokens_allowed = false,
            Self::Oauth => settings.oauth = true,
            Self::NoLegacy => (settings.legacy, settings.oauth) = (false, true),
            Self::Sso => settings.sso = true,
            Self::SsoAndOauth => (settings.sso, settings.oauth) = (true, true),
            Self::OauthAware => {
                (settings.sso, settings.oauth) = (true, true);
                settings.quirks.push("oauth-aware".to_owned());
            }
            Self::SsoStage => {
                settings.sso = true;
                settings.quirks.push("uia-sso-stage".to_owned());
            }
            Self::ProviderIcon => {
                settings.sso = true;
                settings.quirks.push("provider-icon".to_owned());
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
            Self::Operator => operator(&mut settings),
            Self::ServiceNoLegacy => {
                operator(&mut settings);
                (settings.legacy, settings.oauth) = (false, true);
            }
            Self::TwoStages => settings.registration_token = Some("homespec".to_owned()),
            Self::NoRegistration => settings.registration = false,
            Self::NoGuests => settings.guests = false,
            Self::OauthStage => {
                settings.oauth = true;
                settings.quirks.push("oauth-stage".to_owned());
            }
            Self::Throttled => settings.quirks.push("throttled-first".to_owned()),
            Self::Cas => settings.quirks.push("cas-offered".to_owned()),
            Self::RepeatedAnswers => settings.quirks.push("uia-answer-repeated".to_owned()),
            Self::WellKnownRedirect => {
                settings.quirks.push("well-known-redirected".to_owned());
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

/// What an operator knows, in values that nobody else's are.
fn operator(settings: &mut Settings) {
    settings.appservice = Some(Appservice {
        token: "as-token-of-the-house".to_owned(),
        sender: "bridge-bot".to_owned(),
        prefix: "bridge-".to_owned(),
    });
    settings.admin_token = Some("admin-token-of-the-house".to_owned());
    let user = "operator-owned";
    settings.users.push((user.to_owned(), "password-of-the-house".to_owned()));
    let bound = [("email", "Somebody@example.org"), ("msisdn", "447700900001")];
    settings.third_party.extend(bound.map(|(medium, address)| ThirdParty {
        medium: medium.to_owned(),
        address: address.to_owned(),
        user: user.to_owned(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quirks;

    #[test]
    fn quirks_that_are_needed_exist() {
        use Need as N;
        let needs = [
            N::OauthAware,
            N::SsoStage,
            N::ProviderIcon,
            N::Throttled,
            N::Cas,
            N::OauthStage,
            N::RepeatedAnswers,
            N::WellKnownRedirect,
        ];
        for need in needs {
            let settings = need.met(Settings::default());
            assert!(!settings.quirks.is_empty(), "{need:?}");
            for name in &settings.quirks {
                assert!(quirks().iter().any(|quirk| quirk.name == name), "{need:?}: {name}");
            }
        }
    }
}
