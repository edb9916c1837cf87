//! Faults of accounts: their registration, interactive auth, requests that are refused, moderation, application services.

use super::super::policy::*;
use super::super::refusal::Refusal;
use super::super::route::Operation;
use super::Table;

#[rustfmt::skip]
pub(super) const REGISTRATION: Table = &[
    ("register-ignores-device-id", |p| p.opening.device_id = DeviceIdMember::Unread),
    ("register-device-id-capitals", |p| p.opening.device_id = DeviceIdMember::Capitals),
    ("register-device-id-untrue", |p| p.opening.token_device = TokenDevice::Other),
    ("register-device-id-absent", |p| p.opening.generated_ids = GeneratedIds::Untold),
    ("register-device-not-created", |p| p.opening.creates_device = CreatesDevice::Never),
    ("register-ignores-device-name", |p| p.opening.display_name = DisplayNameMember::Unread),
    ("register-token-dead", |p| p.opening.dead_tokens = Times::Always),
    ("register-token-of-another", |p| p.opening.token_owner = TokenOwner::FirstUser),
    ("register-refresh-token-dead", |p| p.opening.dead_refresh_tokens = true),
    ("register-refresh-token-unasked", |p| p.opening.refresh_flag = RefreshFlag::AlwaysTrue),
    ("register-refresh-flag-refused", |p| p.registration.refresh_flag_refused = true),
    ("register-ignores-inhibit-login", |p| p.registration.inhibit_login = InhibitLogin::Unread),
    ("register-inhibited-gives-refresh-token", |p| p.registration.inhibit_login = InhibitLogin::LeavesRefreshToken),
    ("register-in-use-after-auth", |p| p.registration.late = LateCheck::InUse),
    ("register-invalid-after-auth", |p| p.registration.late = LateCheck::Invalid),
    ("register-takes-used-name", |p| p.registration.replaces_accounts = true),
    ("register-any-user-name", |p| p.registration.any_user_name = true),
    ("register-user-id-as-typed", |p| p.registration.capitals = NameCapitals::MappedInSecret),
    ("register-needs-user-name", |p| p.registration.needs_user_name = true),
    ("register-generates-one-name", |p| p.registration.one_generated_name = true),
    ("register-user-name-number-taken", |p| p.registration.non_string_names = true),
    ("register-makes-account-first", |p| p.registration.makes_account_first = true),
    ("register-password-not-kept", |p| p.registration.kept_password = KeptPassword::None),
    ("register-password-cut-at-8", |p| p.registration.kept_password = KeptPassword::FirstEightCharacters),
    ("register-password-refused-once", |p| p.registration.kept_password = KeptPassword::FromSecondLogin),
    ("register-ignores-user-name", |p| p.registration.ignores_user_names = true),
    ("register-numbers-users", |p| p.registration.numbers_users = true),
];

#[rustfmt::skip]
pub(super) const GUEST: Table = &[
    ("guest-device-id-taken", |p| p.guests.reads = Some(GuestParameter::DeviceId)),
    ("guest-inhibits-login", |p| p.guests.reads = Some(GuestParameter::InhibitLogin)),
    ("guest-user-name-taken", |p| p.guests.reads = Some(GuestParameter::UserName)),
    ("guest-password-taken", |p| p.guests.reads = Some(GuestParameter::Password)),
    ("guest-parameters-checked", |p| p.guests.reads = Some(GuestParameter::Types)),
    ("guest-asks-uia", |p| p.guests.asks_uia = true),
    ("guest-token-dead", |p| p.guests.tokens_dead = true),
    ("guest-devices-denied", |p| p.guests.refused = Some(Operation::Devices)),
    ("guest-device-denied", |p| p.guests.refused = Some(Operation::Device)),
    ("guest-device-rename-denied", |p| p.guests.refused = Some(Operation::RenameDevice)),
    ("guest-device-name-ignored", |p| p.guests.device_name = GuestDeviceName::Unread),
    ("guest-device-name-constant", |p| p.guests.device_name = GuestDeviceName::Constant),
];

#[rustfmt::skip]
pub(super) const AVAILABILITY: Table = &[
    ("available-taken-is-free", |p| p.availability.overlooks = Some(Refusal::UserInUse)),
    ("available-invalid-is-free", |p| p.availability.overlooks = Some(Refusal::InvalidUsername)),
    ("available-needs-token", |p| p.availability.needs_token = true),
    ("available-nameless-is-free", |p| p.availability.nameless_is_free = true),
    ("available-missing", |p| p.routes.missing = MissingPaths::RegisterAvailable),
    ("validity-unknown-is-valid", |p| p.validity.says = ValiditySays::AllValid),
    ("validity-tokenless-is-invalid", |p| p.validity.tokenless_is_invalid = true),
    ("validity-unknown-404", |p| p.validity.says = ValiditySays::UnknownNotFound),
    ("validity-needs-token", |p| p.validity.needs_token = true),
    ("validity-missing", |p| p.routes.missing = MissingPaths::TokenValidity),
    ("validity-known-is-invalid", |p| p.validity.says = ValiditySays::NoneValid),
    ("validity-of-beginning", |p| p.validity.near_miss = NearMiss::Shorter),
    ("validity-in-any-case", |p| p.validity.near_miss = NearMiss::AnyCase),
    ("validity-uses-token-up", |p| p.validity.uses_up = true),
];

#[rustfmt::skip]
pub(super) const PROMISE: Table = &[
    ("uia-wrong-password-ends-session", |p| p.uia.failed_stage = FailedStage::EndsSession),
    ("uia-session-alone-refused", |p| p.uia.session_alone = SessionAlone::Refused),
    ("uia-session-alone-begins-anew", |p| p.uia.session_alone = SessionAlone::BeginsAnew),
    ("uia-session-alone-passes", |p| p.uia.session_alone = SessionAlone::Passes),
    ("uia-password-missing-passes", |p| p.uia.missing_password_passes = true),
    ("uia-wrong-password-session-untold", |p| p.uia.failed_stage = FailedStage::Untold),
    ("uia-empty-auth-passes", |p| p.uia.empty_auth_passes = true),
    ("uia-completed-stage-judged", |p| p.uia.completed_stage = CompletedStage::Judged),
    ("uia-completed-stage-refused", |p| p.uia.completed_stage = CompletedStage::Refused),
    ("password-change-never-done", |p| p.uia.never_done_for = Some(Operation::ChangePassword)),
    ("deactivation-never-done", |p| p.uia.never_done_for = Some(Operation::Deactivate)),
    ("device-delete-never-done", |p| p.uia.never_done_for = Some(Operation::DeleteDevice)),
    ("devices-delete-never-done", |p| p.uia.never_done_for = Some(Operation::DeleteDevices)),
    ("get-token-never-done", |p| p.uia.never_done_for = Some(Operation::GetToken)),
    ("register-never-done", |p| p.uia.never_done_for = Some(Operation::Register)),
    ("password-changed-before-auth", |p| p.uia.works_before = Some(Operation::ChangePassword)),
    ("device-deleted-before-auth", |p| p.uia.works_before = Some(Operation::DeleteDevice)),
    ("deactivated-before-auth", |p| p.uia.works_before = Some(Operation::Deactivate)),
    ("oauth-stage-without-url", |p| p.uia.oauth = OauthStage::WithoutUrl),
    ("oauth-stage-everywhere", |p| p.uia.oauth = OauthStage::Everywhere),
    ("password-change-refused", |p| {
        p.password.refused = Some(Refusal::PasswordChangeRefused);
        p.password.capability = PasswordCapability::Enabled;
    }),
    ("password-capability-denied", |p| p.password.capability = PasswordCapability::Disabled),
    ("password-change-number-taken", |p| p.password.new_password = NewPassword::NonStringIsText),
    ("password-change-without-password", |p| p.password.new_password = NewPassword::MissingChangesNothing),
    ("uia-finished-session-for-any-call", |p| p.uia.finished = FinishedSession::AnyCall),
    ("uia-finished-deletion-gives-login-token", |p| p.uia.finished = FinishedSession::GetToken),
    ("uia-dummy-passes", |p| p.uia.unlisted_stage = UnlistedStage::DummyPasses),
    ("uia-unlisted-stage-passes", |p| p.uia.unlisted_stage = UnlistedStage::Passes),
    ("uia-makes-up-for-dead-token", |p| p.uia.dead_token = DeadToken::MadeUpFor),
    ("uia-dead-token-challenged", |p| p.uia.dead_token = DeadToken::Challenged),
];

#[rustfmt::skip]
pub(super) const REFUSAL: Table = &[
    ("failed-login-makes-new-device", |p| p.login.failure = FailedLogin::MakesNewDevice),
    ("malformed-login-makes-device", |p| p.login.makes_device_first = true),
    ("login-user-id-as-typed", |p| {
        p.every_identification(|found| found.folds_case = true);
        p.login.answered_name = AnsweredName::AsTyped;
    }),
    ("login-user-id-as-typed-dead", |p| {
        p.every_identification(|found| found.folds_case = true);
        p.login.answered_name = AnsweredName::AsTypedAndDead;
    }),
    ("login-user-number-taken", |p| p.every_identification(|found| found.non_string_names = true)),
    ("login-device-name-number-taken", |p| p.login.opening.display_name = DisplayNameMember::NonStringIsText),
    ("login-device-id-falsy-echoed", |p| p.every_opening(|opening| opening.device_id = DeviceIdMember::FalsyEchoed)),
    ("device-rename-number-taken", |p| p.devices.rename.non_string_is_text = true),
    ("device-rename-without-name-clears", |p| p.devices.rename.without_name = Nameless::NameRemoved),
    ("device-rename-without-name-400", |p| p.devices.rename.without_name = Nameless::Refused),
    ("login-form-data-415", |p| p.requests.form_data = FormData::RefusedBare),
    ("login-form-data-500", |p| p.requests.form_data = FormData::Fails),
    ("path-slash-decoded-first", |p| p.routes.decoding = PathDecoding::WholePath),
    ("path-not-decoded", |p| p.routes.decoding = PathDecoding::Never),
    ("path-decoded-twice", |p| p.routes.decoding = PathDecoding::Twice),
    ("path-plus-is-blank", |p| p.routes.decoding = PathDecoding::PlusIsBlank),
    ("path-read-as-latin1", |p| p.routes.decoding = PathDecoding::Latin1),
    ("login-country-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::Country)),
    ("login-phone-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::Phone)),
    ("login-medium-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::Medium)),
    ("login-address-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::Address)),
    ("login-legacy-user-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::DeprecatedUser)),
    ("login-legacy-medium-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::DeprecatedMedium)),
    ("login-legacy-address-number-500", |p| p.login.identification.mistyped_fails = Some(IdentifierPart::DeprecatedAddress)),
    ("failed-login-makes-other-device", |p| p.login.failure = FailedLogin::MakesOtherDevice),
    ("well-known-base-url-of-api", |p| p.routes.base_url_below = "/_matrix"),
    ("well-known-base-url-of-client-api", |p| p.routes.base_url_below = "/_matrix/client/"),
];

#[rustfmt::skip]
pub(super) const MODERATION: Table = &[
    ("locked-refreshes", |p| p.locked.refreshes_go_on = true),
    ("locked-logs-in-by-token", |p| p.locked.log_in_by_token = true),
    ("locked-known-to-whoami-alone", |p| p.locked.known_to = Some(Operation::Whoami)),
    ("lock-ends-refresh-tokens", |p| p.locked.refresh_tokens_end = true),
    ("suspended-cannot-log-out", |p| p.suspended.refused = Some(Operation::Logout)),
    ("suspended-cannot-delete-devices", |p| p.suspended.refused = Some(Operation::DeleteDevice)),
    ("suspended-cannot-deactivate", |p| p.suspended.refused = Some(Operation::Deactivate)),
    ("suspended-cannot-sync", |p| p.suspended.refused = Some(Operation::Sync)),
    ("suspension-ends-sessions", |p| p.suspended.sessions_end = true),
    ("admin-by-everybody", |p| p.administration.by_everybody = true),
    ("admin-looks-up-first", |p| p.administration.looks_up_first = true),
    ("admin-acts-on-itself", |p| p.administration.acts_on_itself = true),
    ("admin-lock-in-name", |p| p.administration.effect = AdministrationEffect::NoLock),
    ("admin-suspension-in-name", |p| p.administration.effect = AdministrationEffect::NoSuspension),
    ("admin-for-good", |p| p.administration.effect = AdministrationEffect::ForGood),
    ("admin-says-opposite", |p| p.administration.says = AdministrationSays::Opposite),
    ("admin-get-says-nothing", |p| p.administration.says = AdministrationSays::Nothing),
    ("admin-unknown-accepted", |p| p.administration.unknown_accounts = UnknownAccounts::Accepted),
    ("admin-remote-not-found", |p| p.administration.unknown_accounts = UnknownAccounts::RemoteNotFound),
    ("moderation-capability-of-everybody", |p| p.administration.capability = ModerationCapability::Everybody),
    ("moderation-capability-denied", |p| p.administration.capability = ModerationCapability::Denied),
];

#[rustfmt::skip]
pub(super) const SERVICE: Table = &[
    ("service-sender-token-dead", |p| p.service.login.sender_tokens_dead = true),
    ("service-registration-by-everybody", |p| p.service.registration.by = Registrants::EverybodyWithAuth),
    ("service-registration-by-users", |p| p.service.registration.by = Registrants::UsersToo),
    ("service-registers-outside", |p| p.service.registration.outside_namespace = true),
    ("user-registers-in-namespace", |p| p.registration.takes_exclusive_names = true),
    ("register-exclusive-after-auth", |p| p.registration.late = LateCheck::Exclusive),
    ("available-exclusive-is-free", |p| p.availability.overlooks = Some(Refusal::NameExclusive)),
    ("service-own-device-ignored", |p| p.service.own_device = OwnDevice::Unread),
    ("service-own-device-of-anybody", |p| p.service.own_device = OwnDevice::OfAnybody),
    ("service-registration-challenged", |p| p.service.registration.with_legacy = LegacyServiceRegistration::AsksUia),
    ("service-registration-needs-password", |p| p.service.registration.with_legacy = LegacyServiceRegistration::NeedsPassword),
];
