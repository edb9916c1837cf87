//! The faults that are the homeserver's own doing: each is another value of a policy. What they break stands in
//! `faults.yaml`.

mod account;
mod token;

use super::policy::*;
use super::refusal::Refusal;
use super::route::Operation;
use std::time::Duration;

/// A change of the policy.
pub(super) type PolicyChange = fn(&mut Policy);

/// What a behaviour fault changes; nothing for other names.
pub(super) fn behaviour(fault: &str) -> Option<PolicyChange> {
    let mut all = AREAS.into_iter().flatten();
    all.find(|(name, _)| *name == fault).map(|(_, change)| *change)
}

type Table = &'static [(&'static str, PolicyChange)];

/// The tables in the order of the areas of the file.
const AREAS: [Table; 18] = [
    WIRE,
    DISCOVERY,
    LOGIN,
    DEVICE,
    SESSION,
    UIA,
    OPERATOR,
    token::IDENTITY,
    token::ISOLATION,
    token::LIFETIME,
    token::SECRET,
    account::REGISTRATION,
    account::GUEST,
    account::AVAILABILITY,
    account::PROMISE,
    account::REFUSAL,
    account::MODERATION,
    account::SERVICE,
];

/// Every fifth login with right credentials is refused for a limit.
fn limited(policy: &mut Policy, refusal: Refusal, body: LimitBody) {
    policy.login.limit = Some(LimitRefusal { every: 5, refusal, body });
}

#[rustfmt::skip]
const WIRE: Table = &[
    ("login-needs-content-type", |p| p.login.content_type = LoginContentType::Required),
    ("body-needs-content-type", |p| p.requests.bodies_need_content_type = true),
    ("login-content-type-exact", |p| p.login.content_type = LoginContentType::WithoutParameters),
    ("login-read-as-latin1", |p| p.login.reading = BodyReading::Latin1),
    ("device-name-loses-non-ascii", |p| p.login.opening.display_name = DisplayNameMember::AsciiOnly),
    ("login-escapes-kept", |p| p.login.reading = BodyReading::EscapesKept),
    ("login-surrogate-pairs-apart", |p| p.login.reading = BodyReading::SurrogatesApart),
    ("login-refuses-unknown-keys", |p| p.login.unknown_members = UnknownMembers::Refused),
    ("login-ignores-with-unknown-keys", |p| p.login.unknown_members = UnknownMembers::NamespacedFail),
    ("resource-limit-without-contact", |p| limited(p, Refusal::ResourceLimit, LimitBody::Without("admin_contact"))),
    ("resource-limit-contact-number", |p| limited(p, Refusal::ResourceLimit, LimitBody::Number("admin_contact"))),
    ("user-limit-without-info", |p| limited(p, Refusal::UserLimit, LimitBody::Without("info_uri"))),
    ("user-limit-info-number", |p| limited(p, Refusal::UserLimit, LimitBody::Number("info_uri"))),
    ("user-limit-upgrade-text", |p| limited(p, Refusal::UserLimit, LimitBody::Text("can_upgrade"))),
    ("unknown-path-as-login", |p| p.routes.below_login_is_login = true),
    ("wrong-method-runs-login", |p| p.routes.other_methods = OtherMethods::RunLogin),
    ("wrong-method-runs-logout", |p| p.routes.other_methods = OtherMethods::RunLogout),
    ("get-token-off-403", |p| p.routes.get_token_off = Some(Refusal::NotThisUser)),
    ("get-token-off-400", |p| p.routes.get_token_off = Some(Refusal::TypeUnknown)),
    ("no-devices", |p| p.routes.absent.push(Operation::Devices)),
    ("no-device", |p| p.routes.absent.push(Operation::Device)),
    ("no-rename-device", |p| p.routes.absent.push(Operation::RenameDevice)),
    ("no-delete-device", |p| p.routes.absent.push(Operation::DeleteDevice)),
    ("no-delete-devices", |p| p.routes.absent.push(Operation::DeleteDevices)),
    ("no-whoami", |p| p.routes.absent.push(Operation::Whoami)),
    ("no-logout", |p| p.routes.absent.push(Operation::Logout)),
    ("no-logout-all", |p| p.routes.absent.push(Operation::LogoutAll)),
    ("get-token-promised-and-absent", |p| p.routes.absent.push(Operation::GetToken)),
    ("no-sso-redirect", |p| p.routes.absent.push(Operation::SsoRedirect)),
    ("no-sso-provider-redirect", |p| p.routes.absent.push(Operation::SsoRedirectTo)),
    ("r0-paths-gone", |p| p.routes.missing = MissingPaths::R0),
    ("r0-login-alone", |p| p.routes.missing = MissingPaths::R0ExceptLogin),
    ("v3-logout-all-missing", |p| p.routes.missing = MissingPaths::V3LogoutAll),
    ("v3-whoami-missing", |p| p.routes.missing = MissingPaths::V3Whoami),
    ("options-asks-for-token", |p| p.routes.options = OptionsLogic::AsksForToken),
    ("options-logs-out", |p| p.routes.options = OptionsLogic::LogsOut),
    ("options-logs-out-all", |p| p.routes.options = OptionsLogic::LogsOutAll),
    ("options-refreshes", |p| p.routes.options = OptionsLogic::Refreshes),
    ("options-logs-in", |p| p.routes.options = OptionsLogic::LogsIn),
    ("rate-limit-none", |p| p.requests.login_limit = LoginLimit::None),
    ("rate-limit-forever", |p| p.requests.login_limit = LoginLimit::Forever),
    ("rate-limit-longer-than-said", |p| p.requests.login_limit = LoginLimit::LongerThanSaid),
    ("get-token-not-limited", |p| p.login_tokens.limit = GetTokenLimit::None),
    ("get-token-limited-as-logins", |p| p.login_tokens.limit = GetTokenLimit::AsLogins),
];

#[rustfmt::skip]
const DISCOVERY: Table = &[
    ("sso-redirect-refuses-action", |p| p.sso.refused = RefusedRedirects::WithAction),
    ("sso-redirect-refuses-register", |p| p.sso.refused = RefusedRedirects::WithActionRegister),
    ("sso-provider-redirect-refuses-action", |p| p.sso.refused = RefusedRedirects::WithActionToProvider),
    ("sso-redirect-needs-provider", |p| p.sso.refused = RefusedRedirects::WithoutProvider),
    ("login-page-refuses-parameters", |p| p.routes.login_page = LoginPage::RefusesParameters),
];

#[rustfmt::skip]
const LOGIN: Table = &[
    ("phones-not-supported", |p| {
        p.every_identification(|found| found.phones = Phones::NotSupported);
    }),
    ("login-needs-access-token", |p| p.login.needs_access_token = Logins::All),
    ("login-by-token-needs-access-token", |p| p.login.needs_access_token = Logins::ByToken),
    ("login-type-missing-as-password", |p| p.login.type_member = TypeMember::MissingIsPassword),
    ("login-type-unknown-as-password", |p| p.login.type_member = TypeMember::UnknownIsPassword),
    ("login-type-number-as-password", |p| p.login.type_member = TypeMember::NonStringIsPassword),
    ("login-token-dead", |p| p.login.opening.dead_tokens = Times::Always),
    ("login-token-dead-sometimes", |p| p.login.opening.dead_tokens = Times::Every(3)),
    ("login-token-of-another", |p| p.login.opening.token_owner = TokenOwner::Another),
    ("login-token-of-first-user", |p| p.login.opening.token_owner = TokenOwner::FirstUser),
    ("failed-login-makes-device", |p| p.login.failure = FailedLogin::MakesDevice),
    ("failed-login-ends-sessions", |p| p.login.failure = FailedLogin::EndsSessions),
    ("failed-login-renames-device", |p| p.login.failure = FailedLogin::RenamesDevice),
    ("failed-login-ends-device", |p| p.login.failure = FailedLogin::EndsDevice),
    ("login-localpart-refused", |p| p.login.identification.localparts = NameForm::Unknown),
    ("login-localpart-invalid", |p| p.login.identification.localparts = NameForm::InvalidInIdentifier),
    ("login-name-alone", |p| {
        p.registration.numbers_users = true;
        p.every_identification(|found| found.localparts = NameForm::Unknown);
    }),
    ("login-mxid-refused", |p| p.login.identification.full_ids = NameForm::Unknown),
    ("login-mxid-invalid", |p| p.login.identification.full_ids = NameForm::InvalidInIdentifier),
    ("login-password-null-logs-in", |p| p.login.password_member = PasswordMember::NullLogsIn),
    ("login-password-missing-logs-in", |p| p.login.password_member = PasswordMember::MissingLogsIn),
    ("login-any-password", |p| p.login.password_match = PasswordMatch::Any),
    ("login-unknown-user-made", |p| p.login.unknown_users_made = true),
    ("login-foreign-id-as-local", |p| p.login.identification.foreign_ids = ForeignIds::TakenForLocal),
    ("login-foreign-id-by-beginning", |p| p.login.identification.foreign_ids = ForeignIds::TakenForLocalByBeginning),
    ("login-foreign-id-in-user-as-local", |p| p.login.identification.user_member = UserMember::ServerUnread),
    ("login-password-trimmed", |p| p.login.password_match = PasswordMatch::Trimmed),
    ("login-password-case-folded", |p| p.login.password_match = PasswordMatch::CaseFolded),
    ("login-password-truncated", |p| p.login.password_match = PasswordMatch::FirstEightCharacters),
    ("login-password-prefix", |p| p.login.password_match = PasswordMatch::Beginning),
    ("login-password-empty", |p| p.login.password_match = PasswordMatch::EmptyToo),
    ("login-identifier-text-as-user", |p| p.login.identification.identifier = IdentifierMember::TextIsUser),
    ("login-identifier-type-ignored", |p| p.login.identification.identifier = IdentifierMember::AnyTypeIsUser),
    ("login-identifier-absent-logs-in", |p| p.login.unnamed_log_in = Some(Refusal::IdentifierMissing)),
    ("login-identifier-userless-logs-in", |p| p.login.unnamed_log_in = Some(Refusal::IdentifierUserMissing)),
    ("login-third-party-incomplete-logs-in", |p| p.login.unnamed_log_in = Some(Refusal::IdentifierThirdPartyMissing)),
    ("login-phone-incomplete-logs-in", |p| p.login.unnamed_log_in = Some(Refusal::IdentifierPhoneMissing)),
    ("login-legacy-user-refused", |p| p.login.identification.user_member = UserMember::Unread),
    ("login-legacy-user-mxid-refused", |p| p.login.identification.user_member = UserMember::FullIdsUnknown),
    ("login-legacy-third-party-ignored", |p| p.login.identification.deprecated_address = DeprecatedAddress::Unread),
    ("login-token-type-refused", |p| p.login.token_login_unknown = true),
    ("login-token-refused", |p| p.login_tokens.login = TokenLogin::Refused),
    ("login-token-needs-user", |p| p.login_tokens.login = TokenLogin::NeedsIdentifier),
    ("login-token-wrong-user", |p| p.login_tokens.opens_another = true),
    ("login-token-session-of-another", |p| p.login.opening.token_owner = TokenOwner::AnotherByTokenLogin),
    ("login-token-of-latest-user", |p| p.login_tokens.made = MadeToken::AllOfCaller),
    ("login-token-any", |p| p.login_tokens.accepts = LoginTokenKinds::Any),
    ("login-token-twice", |p| p.login_tokens.uses = LoginTokenUses::Unlimited),
    ("login-token-races", |p| p.login_tokens.uses = LoginTokenUses::OnceButForRaces),
    ("login-token-never-expires", |p| p.login_tokens.never_expire = true),
    ("login-token-outlives-its-time", |p| p.login_tokens.understated = true),
    ("login-token-as-access-token", |p| p.authentication.accepts = AcceptedTokens::LoginTokensToo),
    ("access-token-as-login-token", |p| p.login_tokens.accepts = LoginTokenKinds::AccessTokensToo),
    ("login-token-ignores-device-id", |p| p.login.opening.device_id = DeviceIdMember::UnreadByTokenLogin),
    ("login-token-ignores-device-name", |p| p.login.opening.display_name = DisplayNameMember::UnreadByTokenLogin),
    ("login-service-user-token-logs-in", |p| p.service.login.user_tokens_log_in = true),
];

#[rustfmt::skip]
const DEVICE: Table = &[
    ("device-id-generated-empty", |p| p.login.opening.generated_ids = GeneratedIds::Empty),
    ("device-id-generated-absent", |p| p.login.opening.generated_ids = GeneratedIds::Untold),
    ("device-id-generated-constant", |p| p.login.opening.generated_ids = GeneratedIds::Constant),
    ("device-id-generated-by-name", |p| p.login.opening.generated_ids = GeneratedIds::ByName),
    ("device-id-capitals", |p| p.login.opening.device_id = DeviceIdMember::Capitals),
    ("device-id-ignored", |p| p.login.opening.device_id = DeviceIdMember::Unread),
    ("device-id-stripped", |p| p.login.opening.device_id = DeviceIdMember::PunctuationRemoved),
    ("device-id-echoed-only", |p| p.login.opening.token_device = TokenDevice::Other),
    ("device-id-generated-untrue", |p| p.login.opening.token_device = TokenDevice::OtherThanGenerated),
    ("device-token-of-first-device", |p| p.login.opening.token_device = TokenDevice::FirstOfUser),
    ("device-id-case-folded", |p| p.login.opening.token_device = TokenDevice::KnownInAnyCase),
    ("device-not-recorded", |p| p.devices.unrecorded = true),
    ("device-not-created", |p| p.login.opening.creates_device = CreatesDevice::Never),
    ("device-chosen-not-created", |p| p.login.opening.creates_device = CreatesDevice::IfGenerated),
    ("device-nameless-not-listed", |p| p.devices.hides_nameless = true),
    ("device-name-dropped", |p| p.login.opening.display_name = DisplayNameMember::Unread),
    ("device-name-truncated", |p| p.login.opening.display_name = DisplayNameMember::FirstFourCharacters),
    ("device-name-small-letters", |p| p.login.opening.display_name = DisplayNameMember::SmallLetters),
    ("device-name-overwritten", |p| p.login.opening.known_device = KnownDevice::NameReplaced),
    ("device-name-cleared", |p| p.login.opening.known_device = KnownDevice::NameRemoved),
    ("device-doubled", |p| p.login.opening.known_device = KnownDevice::Doubled),
    ("device-reuse-listed-twice", |p| p.devices.lists_known_twice = true),
    ("device-reuse-token-dead", |p| p.login.opening.token_on_known_device = KnownDeviceToken::Dead),
    ("device-reuse-token-once", |p| p.login.opening.token_on_known_device = KnownDeviceToken::GoodForOneRequest),
    ("login-ends-other-sessions", |p| p.login.opening.other_devices = OtherDevices::LoggedOut),
    ("login-ends-other-devices", |p| p.login.opening.other_devices = OtherDevices::Deleted),
    ("device-id-of-all-users", |p| p.login.opening.id_of_another_user = SharedId::TakenAway),
    ("device-id-taken", |p| p.login.opening.id_of_another_user = SharedId::Refused),
    ("device-named-like-key", |p| p.login.opening.cross_signing_keys_taken = true),
    ("device-id-number-taken", |p| p.login.opening.device_id = DeviceIdMember::NonStringIsText),
    ("device-of-another-shown", |p| p.devices.shows_those_of_others = true),
    ("device-rename-ignored", |p| p.devices.rename.does_nothing = true),
    ("device-rename-creates", |p| p.devices.rename.creates = true),
    ("device-delete-without-uia", |p| p.devices.delete.without_uia = true),
    ("devices-delete-without-uia", |p| p.devices.delete_many.without_uia = true),
    ("device-delete-keeps-token", |p| p.devices.delete.keeps_tokens = true),
    ("device-delete-known-to-whoami-alone", |p| {
        p.devices.tokens_linger = Some(Duration::ZERO);
        p.authentication.ended_known_to_whoami_alone = true;
    }),
    ("device-delete-does-nothing", |p| p.devices.every_delete(|delete| delete.does_nothing = true)),
    ("device-delete-twice-404", |p| p.devices.delete.refuses_unknown = true),
    ("devices-delete-first-only", |p| p.devices.delete_many.deleted = DeletedDevices::FirstOfList),
    ("devices-delete-unlisted", |p| p.devices.delete_many.deleted = DeletedDevices::UnlistedToo),
    ("devices-delete-keeps-tokens", |p| p.devices.delete_many.keeps_tokens = true),
];

#[rustfmt::skip]
const SESSION: Table = &[
    ("token-header-not-read", |p| p.authentication.header_unread_by = Some(Operation::Whoami)),
    ("token-header-not-read-by-devices", |p| p.authentication.header_unread_by = Some(Operation::Devices)),
    ("token-query-not-read", |p| p.authentication.query = QueryToken::Unread),
    ("token-query-read-by-whoami-alone", |p| p.authentication.query = QueryToken::ReadByWhoamiAlone),
    ("token-query-403", |p| p.authentication.query = QueryToken::Forbidden),
    ("token-unknown-in-query-403", |p| p.authentication.query = QueryToken::ForbiddenIfUnknown),
    ("token-in-any-case", |p| p.authentication.accepts = AcceptedTokens::AnyCase),
    ("whoami-guest-denied", |p| p.whoami.guests_refused = Some(Refusal::GuestForbidden)),
    ("whoami-guest-unknown", |p| p.whoami.guests_refused = Some(Refusal::UnknownToken)),
    ("logout-needs-body", |p| p.logout.body = LogoutBody::Required),
    ("logout-refuses-body", |p| p.logout.body = LogoutBody::Refused),
    ("logout-with-body-does-nothing", |p| p.logout.body = LogoutBody::EndsNothing),
    ("logout-keeps-token", |p| p.logout.keeps_access_token = true),
    ("logout-does-nothing", |p| p.logout.does_nothing = Times::Always),
    ("logout-does-nothing-sometimes", |p| p.logout.does_nothing = Times::Every(3)),
    ("logout-known-to-whoami-alone", |p| {
        p.logout.tokens_linger = Some(Duration::ZERO);
        p.authentication.ended_known_to_whoami_alone = true;
    }),
    ("logout-token-lingers", |p| p.logout.tokens_linger = Some(Duration::from_secs(60))),
    ("logout-keeps-device", |p| p.logout.keeps_device = true),
    ("logout-device-still-listed", |p| p.devices.logged_out = LoggedOutDevices::Listed),
    ("logout-device-still-shown", |p| p.devices.logged_out = LoggedOutDevices::Shown),
    ("logout-keeps-keys", |p| p.logout.keeps_keys = true),
    ("logout-keys-kept-by-name", |p| {
        p.logout.keeps_keys = true;
        p.devices.left_keys_by_name_alone = true;
    }),
    ("logout-ends-all", |p| p.logout.ends_other_sessions = true),
    ("logout-ends-another", |p| p.logout.ends_other_sessions = true),
    ("logout-ends-all-refresh-tokens", |p| p.logout.refresh_tokens = EndedRefreshTokens::OfAllSessions),
    ("logout-keeps-refresh-token", |p| p.logout.refresh_tokens = EndedRefreshTokens::None),
    ("logout-keeps-refreshed-tokens", |p| p.logout.refresh_tokens = EndedRefreshTokens::OfLogin),
    ("logout-all-needs-body", |p| p.logout_all.needs = LogoutAllNeeds::Body),
    ("logout-all-needs-content-type", |p| p.logout_all.needs = LogoutAllNeeds::ContentType),
    ("logout-all-keeps-caller", |p| p.logout_all.spares = Which::Own),
    ("logout-all-caller-only", |p| p.logout_all.spares = Which::Others),
    ("logout-all-does-nothing", |p| p.logout_all.spares = Which::All),
    ("logout-all-keeps-devices", |p| p.logout_all.keeps_devices = Which::All),
    ("logout-all-keeps-own-device", |p| p.logout_all.keeps_devices = Which::Own),
    ("logout-all-keeps-keys", |p| p.logout_all.keeps_keys = true),
    ("logout-all-asks-uia", |p| p.logout_all.asks_uia = LogoutAllUia::Always),
    ("logout-all-asks-uia-of-many", |p| p.logout_all.asks_uia = LogoutAllUia::OfSeveralSessions),
    ("logout-all-keeps-refresh-tokens", |p| p.logout_all.keeps_refresh_tokens = Which::All),
    ("logout-all-keeps-own-refresh-token", |p| p.logout_all.keeps_refresh_tokens = Which::Own),
    ("logout-all-keeps-other-refresh-tokens", |p| p.logout_all.keeps_refresh_tokens = Which::Others),
    ("logout-all-everybody", |p| p.logout_all.other_users = OtherUsers::All),
    ("logout-all-by-device-id", |p| p.logout_all.other_users = OtherUsers::OnSameDeviceIds),
    ("logout-all-locks", |p| p.logout_all.afterwards = AfterLogoutAll::CannotLogIn),
    ("logout-all-stops-later-tokens", |p| p.logout_all.afterwards = AfterLogoutAll::TokensUnknown),
    ("login-refresh-flag-refused", |p| p.login.refresh_flag_refused = Logins::All),
    ("login-by-token-refresh-flag-refused", |p| p.login.refresh_flag_refused = Logins::ByToken),
    ("login-refresh-flag-text-taken", |p| p.login.opening.refresh_flag = RefreshFlag::TextIsBoolean),
    ("login-refresh-token-unasked", |p| p.login.opening.refresh_flag = RefreshFlag::AlwaysTrue),
    ("refresh-endpoint-missing", |p| p.routes.no_refresh = true),
    ("refresh-needs-access-token", |p| p.refresh.needs_access_token = Refreshes::All),
    ("refresh-later-needs-access-token", |p| p.refresh.needs_access_token = Refreshes::AllButFirst),
    ("refresh-early-refused", |p| p.refresh.refused_while_valid = Refreshes::All),
    ("refresh-early-refused-later", |p| p.refresh.refused_while_valid = Refreshes::AllButFirst),
    ("refresh-after-expiry-refused", |p| p.refresh.refused_after_expiry = Some(Refusal::RefreshTokenSpent)),
    ("refresh-after-expiry-forbidden", |p| p.refresh.refused_after_expiry = Some(Refusal::NotThisUser)),
    ("refresh-access-token-dead", |p| p.refresh.dead_access_tokens = Refreshes::All),
    ("refresh-later-access-token-dead", |p| p.refresh.dead_access_tokens = Refreshes::AllButFirst),
    ("refresh-access-token-for-whoami-alone", |p| p.refresh.access_tokens_for_whoami_alone = true),
    ("refresh-moves-device", |p| p.refresh.session = RefreshedSession::OnNewDevice),
    ("refresh-moves-user", |p| p.refresh.session = RefreshedSession::OfAnotherUser),
    ("refresh-token-dies-at-once", |p| p.refresh.old_token_uses = OldTokenUses::Once),
    ("refresh-token-good-twice", |p| p.refresh.old_token_uses = OldTokenUses::Twice),
    ("refresh-token-dies-by-old-access-token", |p| p.refresh.old_token_ends = OldTokenEnds::ByAnyToken),
    ("refresh-not-revoked-by-access", |p| p.refresh.old_token_ends = OldTokenEnds::ByNewRefreshToken),
    ("refresh-not-revoked-by-refresh", |p| p.refresh.old_token_ends = OldTokenEnds::ByNewAccessToken),
    ("refresh-again-revokes-nothing", |p| p.refresh.second_use_ends_nothing = true),
    ("refresh-never-revoked", |p| p.refresh.old_token_ends = OldTokenEnds::Never),
    ("refresh-gives-none-and-revokes", |p| {
        p.refresh.new_token = NewRefreshToken::NoneAndOldEnds;
        p.refresh.old_token_uses = OldTokenUses::Once;
    }),
    ("refresh-gives-none-and-access-revokes", |p| p.refresh.new_token = NewRefreshToken::NoneAndOldEnds),
    ("refresh-takes-access-token", |p| p.refresh.takes_access_tokens = true),
    ("refresh-token-as-access-token", |p| p.authentication.accepts = AcceptedTokens::RefreshTokensToo),
];

#[rustfmt::skip]
const UIA: Table = &[
    ("get-token-without-uia", |p| p.login_tokens.uia = GetTokenUia::Never),
    ("get-token-remembers-auth", |p| p.login_tokens.uia = GetTokenUia::FirstTime),
    ("get-token-session-reusable", |p| p.uia.session_reusable = true),
    ("get-token-useless", |p| p.login_tokens.made = MadeToken::Unknown),
    ("login-token-needs-its-maker", |p| p.login_tokens.login = TokenLogin::NeedsMaker),
    ("get-token-ends-session", |p| p.login_tokens.ends_session = true),
    ("register-without-uia", |p| p.registration.without_uia = true),
    ("password-change-without-uia", |p| p.password.without_uia = true),
    ("deactivate-without-uia", |p| p.deactivation.without_uia = true),
    ("uia-any-order", |p| p.uia.order = StageOrder::Any),
    ("uia-order-refused-and-noted", |p| p.uia.order = StageOrder::RefusedAndNoted),
    ("uia-one-stage-is-enough", |p| p.uia.one_stage_is_enough = true),
    ("uia-never-done", |p| p.uia.never_done = true),
    ("uia-identifier-not-read", |p| p.uia.identification.identifier = IdentifierMember::Unread),
    ("uia-full-id-refused", |p| p.uia.identification.full_ids = NameForm::UnknownInIdentifier),
    ("uia-localpart-refused", |p| p.uia.identification.localparts = NameForm::UnknownInIdentifier),
    ("uia-other-user", |p| p.uia.users = StageUsers::Anybody),
    ("uia-other-user-in-user", |p| p.uia.users = StageUsers::AnybodyByUserMember),
    ("uia-other-user-gets-token", |p| p.uia.users = StageUsers::AnybodyAtGetToken),
    ("uia-any-password", |p| p.uia.any_password = true),
    ("deactivated-logs-in", |p| p.login.deactivated_log_in = true),
    ("deactivated-keeps-tokens", |p| p.deactivation.keeps_sessions = Which::All),
    ("deactivated-keeps-other-tokens", |p| p.deactivation.keeps_sessions = Which::Others),
    ("deactivated-keeps-refresh-tokens", |p| p.deactivation.keeps_refresh_tokens = true),
    ("password-not-changed", |p| p.password.changes_nothing = true),
    ("password-change-keeps-old", |p| p.login.password_match = PasswordMatch::FormerToo),
    ("password-change-ends-own-session", |p| p.password.ends_own_session = true),
    ("password-change-keeps-others", |p| p.password.other_sessions = OtherSessions::Kept),
    ("password-change-ends-others", |p| p.password.other_sessions = OtherSessions::Ended),
];

#[rustfmt::skip]
const OPERATOR: Table = &[
    ("service-login-refused", |p| p.service.login.refused = ServiceLogins::All),
    ("service-login-needs-password", |p| p.service.login.needs_password = true),
    ("service-login-once", |p| p.service.login.one_device = true),
    ("service-login-full-id-refused", |p| p.service.login.refused = ServiceLogins::ByFullId),
    ("service-login-localpart-refused", |p| p.service.login.refused = ServiceLogins::ByLocalpart),
    ("service-login-as-sender", |p| p.service.login.as_own_user = true),
    ("service-login-without-device", |p| p.service.login.without_device = true),
    ("service-login-gives-service-token", |p| p.service.login.gives_service_token = true),
    ("service-login-registers", |p| p.service.login.registers_users = true),
    ("service-login-unregistered-exclusive", |p| p.service.login.unregistered_are_exclusive = true),
    ("service-speaks-for-anybody", |p| p.service.outside_namespace = OutsideNamespace::Allowed),
    ("service-outside-as-sender", |p| p.service.outside_namespace = OutsideNamespace::SpeaksForItself),
    ("service-outside-exclusive", |p| p.service.outside_namespace = OutsideNamespace::Exclusive),
    ("service-user-id-ignored", |p| p.service.user_id = AssertedUser::Unread),
    ("service-needs-user-id", |p| p.service.user_id = AssertedUser::Required),
    ("service-without-user-id-as-another", |p| p.service.user_id = AssertedUser::DefaultsToAnother),
    ("service-device-id-ignored", |p| p.service.device_id = AssertedDevice::Unread),
    ("service-device-id-other", |p| p.service.device_id = AssertedDevice::TakenForAnother),
    ("service-device-id-unchecked", |p| p.service.device_id = AssertedDevice::Unchecked),
    ("service-device-made-200", |p| p.devices.rename.by_service = ServiceDevice::MadeWith200),
    ("service-device-made-404", |p| p.devices.rename.by_service = ServiceDevice::Refused),
    ("service-device-made-in-name", |p| p.devices.rename.by_service = ServiceDevice::NotMade),
    ("service-deletes-with-uia", |p| p.devices.every_delete(|delete| delete.services_need_uia = true)),
    ("service-deletes-many-with-uia", |p| p.devices.delete_many.services_need_uia = true),
    ("service-deletes-nothing", |p| p.devices.every_delete(|delete| delete.does_nothing_for_services = true)),
    ("service-login-unsupported-404", |p| p.service.login.unsupported_untold = true),
    ("service-registration-refused", |p| p.service.registration.closed = true),
    ("service-registration-asks-uia", |p| p.service.registration.asks_uia = true),
    ("service-registration-in-name", |p| p.service.registration.makes_nothing = true),
    ("service-registration-logs-in", |p| p.service.registration.opens_sessions = true),
    ("refresh-takes-user-id", |p| p.refresh.user_id = UserIdParameter::Asserted),
    ("refresh-refuses-user-id", |p| p.refresh.user_id = UserIdParameter::Refused),
    ("login-email-refused", |p| p.login.identification.emails = Emails::Unknown),
    ("login-email-of-another", |p| p.login.opens_another_by = Some(AddressKind::Email)),
    ("login-email-case-matters", |p| p.login.identification.emails = Emails::FoundInTheirCase),
    ("login-msisdn-refused", |p| p.login.identification.msisdns_unknown = true),
    ("login-msisdn-of-another", |p| p.login.opens_another_by = Some(AddressKind::Msisdn)),
    ("login-phone-refused", |p| p.login.identification.phones = Phones::Unknown),
    ("login-phone-of-another", |p| p.login.opens_another_by = Some(AddressKind::Phone)),
    ("login-legacy-email-refused", |p| p.login.identification.deprecated_address = DeprecatedAddress::Unknown),
    ("login-legacy-email-of-another", |p| p.login.opens_another_by = Some(AddressKind::Deprecated)),
    ("locked-goes-on", |p| p.locked.requests_go_on = true),
    ("locked-logs-in", |p| p.locked.log_in = true),
    ("locked-cannot-log-out", |p| p.locked.logout = LockedLogout::Refused),
    ("locked-cannot-log-out-everywhere", |p| p.locked.logout = LockedLogout::AllRefused),
    ("locked-logout-does-nothing", |p| p.locked.logout = LockedLogout::DoesNothing),
    ("lock-ends-sessions", |p| p.locked.sessions_end = true),
    ("suspended-cannot-log-in", |p| p.login.suspended_refused = true),
];

/// The names of all.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    AREAS.into_iter().flatten().map(|(name, _)| *name).collect()
}
