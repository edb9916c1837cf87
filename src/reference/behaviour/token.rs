//! Faults of tokens and other secrets: whose they are, what ends them, what passes for them.

use super::super::policy::*;
use super::super::route::Operation;
use super::Table;

#[rustfmt::skip]
pub(super) const IDENTITY: Table = &[
    ("user-id-query-asserted", |p| p.identity.query_user = QueryUser::Asserted),
    ("user-id-query-asserted-for-devices", |p| p.identity.query_user = QueryUser::AssertedForDevices),
    ("device-id-query-asserted", |p| p.identity.query_device = true),
    ("user-header-asserted", |p| p.identity.user_header = true),
    ("password-change-of-body-user", |p| p.identity.body_user = true),
    ("logout-of-body-device", |p| p.identity.logout_body_device = true),
    ("get-token-of-body-user", |p| p.login_tokens.body_user = true),
];

#[rustfmt::skip]
pub(super) const ISOLATION: Table = &[
    ("device-rename-of-another", |p| p.isolation.renames_of_others = true),
    ("device-delete-of-another", |p| p.isolation.deletes_of_others = true),
    ("devices-delete-of-another", |p| p.isolation.deletes_many_of_others = true),
    ("devices-of-all-users-listed", |p| p.isolation.lists_all_devices = true),
    ("device-delete-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::Deletion)),
    ("device-delete-of-own-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::OwnDeletion)),
    ("devices-delete-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::BulkDeletion)),
    ("logout-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::Logout)),
    ("password-change-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::PasswordChange)),
    ("deactivation-by-id-alone", |p| p.isolation.same_ids_end_by = Some(SessionEnd::Deactivation)),
    ("refresh-by-id-alone", |p| p.isolation.refresh_ends_same_ids = true),
    ("uia-session-of-another-user", |p| p.uia.session_for_any_user = true),
];

#[rustfmt::skip]
pub(super) const LIFETIME: Table = &[
    ("logout-keeps-earlier-access-token", |p| p.lifetimes.outliving = Some((SessionEnd::Logout, Part::EarlierAccessTokens))),
    ("logout-keeps-traded-refresh-token", |p| p.lifetimes.outliving = Some((SessionEnd::Logout, Part::EarlierRefreshTokens))),
    ("logout-all-keeps-earlier-access-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::LogoutAll, Part::EarlierAccessTokens))),
    ("logout-all-keeps-traded-refresh-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::LogoutAll, Part::EarlierRefreshTokens))),
    ("device-delete-keeps-refresh-token", |p| p.lifetimes.outliving = Some((SessionEnd::Deletion, Part::RefreshTokens))),
    ("device-delete-keeps-traded-refresh-token", |p| p.lifetimes.outliving = Some((SessionEnd::Deletion, Part::EarlierRefreshTokens))),
    ("device-delete-keeps-earlier-access-token", |p| p.lifetimes.outliving = Some((SessionEnd::Deletion, Part::EarlierAccessTokens))),
    ("device-delete-keeps-own-token", |p| p.lifetimes.outliving = Some((SessionEnd::OwnDeletion, Part::AccessTokens))),
    ("device-delete-keeps-own-refresh-token", |p| p.lifetimes.outliving = Some((SessionEnd::OwnDeletion, Part::RefreshTokens))),
    ("devices-delete-keeps-refresh-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::BulkDeletion, Part::RefreshTokens))),
    ("devices-delete-keeps-earlier-access-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::BulkDeletion, Part::EarlierAccessTokens))),
    ("password-change-keeps-refresh-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::PasswordChange, Part::RefreshTokens))),
    ("password-change-keeps-earlier-access-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::PasswordChange, Part::EarlierAccessTokens))),
    ("password-change-keeps-devices", |p| p.lifetimes.outliving = Some((SessionEnd::PasswordChange, Part::Device))),
    ("deactivated-keeps-earlier-access-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::Deactivation, Part::EarlierAccessTokens))),
    ("deactivated-keeps-traded-refresh-tokens", |p| p.lifetimes.outliving = Some((SessionEnd::Deactivation, Part::EarlierRefreshTokens))),
    ("deactivated-login-token-works", |p| p.lifetimes.login_tokens_outlive_account = true),
    ("device-reuse-keeps-refresh-token", |p| p.every_opening(|opening| opening.known_keeps_refresh_token = true)),
    ("device-delete-ends-other-access-tokens", |p| p.lifetimes.deletion_ends = Beside::OtherAccessTokens),
    ("device-delete-ends-other-refresh-tokens", |p| p.lifetimes.deletion_ends = Beside::OtherRefreshTokens),
    ("refresh-ends-other-access-tokens", |p| p.lifetimes.refresh_ends = Beside::OtherAccessTokens),
    ("refresh-ends-other-refresh-tokens", |p| p.lifetimes.refresh_ends = Beside::OtherRefreshTokens),
    ("refresh-new-token-dead", |p| p.refresh.dead_refresh_tokens = true),
    ("login-token-refresh-token-dead", |p| p.login_tokens.dead_refresh_tokens = true),
];

#[rustfmt::skip]
pub(super) const SECRET: Table = &[
    ("access-token-cut-works", |p| p.secrets.access = NearMiss::Shorter),
    ("access-token-longer-works", |p| p.secrets.access = NearMiss::Longer),
    ("refresh-token-cut-works", |p| p.secrets.refresh = NearMiss::Shorter),
    ("refresh-token-longer-works", |p| p.secrets.refresh = NearMiss::Longer),
    ("refresh-token-in-any-case", |p| p.secrets.refresh = NearMiss::AnyCase),
    ("login-token-cut-works", |p| p.secrets.login = NearMiss::Shorter),
    ("login-token-longer-works", |p| p.secrets.login = NearMiss::Longer),
    ("login-token-in-any-case", |p| p.secrets.login = NearMiss::AnyCase),
    ("uia-session-cut-works", |p| p.secrets.session = NearMiss::Shorter),
    ("uia-session-longer-works", |p| p.secrets.session = NearMiss::Longer),
    ("uia-session-in-any-case", |p| p.secrets.session = NearMiss::AnyCase),
    ("login-password-longer-works", |p| p.login.password_match = PasswordMatch::Longer),
    ("login-password-cut-at-72", |p| p.login.password_match = PasswordMatch::First72Bytes),
    ("uia-password-case-folded", |p| p.uia.password_match = PasswordMatch::CaseFolded),
    ("uia-password-former", |p| p.uia.password_match = PasswordMatch::FormerToo),
    ("uia-password-beginning", |p| p.uia.password_match = PasswordMatch::Beginning),
    ("uia-password-empty", |p| p.uia.password_match = PasswordMatch::EmptyToo),
    ("uia-registration-token-cut", |p| p.secrets.registration = NearMiss::Shorter),
    ("token-odd-500", |p| p.secrets.odd_access_fails = OddAccess::All),
    ("token-odd-500-at-logout", |p| p.secrets.odd_access_fails = OddAccess::One(Operation::Logout)),
    ("token-odd-500-at-get-token", |p| p.secrets.odd_access_fails = OddAccess::One(Operation::GetToken)),
    ("token-empty-500", |p| p.secrets.empty_access_fails = true),
    ("refresh-token-odd-500", |p| p.secrets.odd_fails = Some(OddText::RefreshToken)),
    ("login-token-odd-500", |p| p.secrets.odd_fails = Some(OddText::LoginToken)),
    ("uia-session-odd-500", |p| p.secrets.odd_fails = Some(OddText::AuthSession)),
    ("login-password-odd-500", |p| p.secrets.odd_fails = Some(OddText::Password)),
    ("login-user-odd-500", |p| p.secrets.odd_fails = Some(OddText::UserName)),
    ("device-odd-500", |p| p.secrets.odd_fails = Some(OddText::DevicePath)),
    ("login-password-non-ascii-500", |p| p.login.password_trouble = PasswordTrouble::NonAscii),
    ("login-password-long-500", |p| p.login.password_trouble = PasswordTrouble::Long),
    ("register-password-non-ascii-500", |p| p.registration.password_trouble = PasswordTrouble::NonAscii),
    ("register-password-long-500", |p| p.registration.password_trouble = PasswordTrouble::Long),
    ("password-change-non-ascii-500", |p| p.password.trouble = PasswordTrouble::NonAscii),
];
