//! Logins, the sessions that they open, and login tokens.

use super::super::refusal::Refusal;
use super::Times;

/// `GET` and `POST /login`.
#[derive(Debug, Clone, Default)]
pub struct LoginPolicy {
    pub no_password_login: bool,
    /// Token login is taken and not listed.
    pub token_login_unlisted: bool,
    /// Token login is listed and refused as an unknown type.
    pub token_login_unknown: bool,
    pub content_type: LoginContentType,
    pub reading: BodyReading,
    pub unknown_members: UnknownMembers,
    pub type_member: TypeMember,
    pub password_member: PasswordMember,
    pub identification: IdentificationPolicy,
    pub unknown_users_made: bool,
    /// The reason that refuses a login which names nobody, where it opens a session all the same.
    pub unnamed_log_in: Option<Refusal>,
    /// Ids of other servers are refused with 400 and not as failed logins.
    pub foreign_ids_invalid: bool,
    pub password_match: PasswordMatch,
    pub password_trouble: PasswordTrouble,
    pub failure: FailedLogin,
    /// A login with a right password and a mistyped member makes the device before it is refused.
    pub makes_device_first: bool,
    pub answered_name: AnsweredName,
    pub deactivated_log_in: bool,
    pub suspended_refused: bool,
    /// The kind of address whose logins open a session of somebody else.
    pub opens_another_by: Option<AddressKind>,
    pub needs_access_token: Logins,
    pub refresh_flag_refused: Logins,
    pub limit: Option<LimitRefusal>,
    pub opening: OpeningPolicy,
}

/// Some of the logins, by their type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Logins {
    #[default]
    None,
    All,
    ByToken,
}

impl Logins {
    pub fn include(self, by_token: bool) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::ByToken => by_token,
        }
    }
}

/// Media types of a login's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginContentType {
    #[default]
    Any,
    Required,
    WithoutParameters,
}

/// How the text of a login's body is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyReading {
    #[default]
    Utf8,
    Latin1,
    /// `\u` escapes are not undone.
    EscapesKept,
    /// The halves of a surrogate pair are read as two letters.
    SurrogatesApart,
}

/// Members of a login that no release knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownMembers {
    #[default]
    Ignored,
    Refused,
    /// A dot in a name makes the login fail.
    NamespacedFail,
}

/// What is taken for a password login beside `m.login.password`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TypeMember {
    #[default]
    Exact,
    MissingIsPassword,
    NonStringIsPassword,
    UnknownIsPassword,
}

/// The member `password` of a password login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordMember {
    #[default]
    Required,
    MissingLogsIn,
    NullLogsIn,
}

/// When a password is taken for the account's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordMatch {
    #[default]
    Exact,
    Any,
    Trimmed,
    CaseFolded,
    FirstEightCharacters,
    Beginning,
    EmptyToo,
    FormerToo,
    /// More behind the password.
    Longer,
    /// Only as many bytes as bcrypt looks at.
    First72Bytes,
}

/// A password that a homeserver fails at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordTrouble {
    #[default]
    None,
    NonAscii,
    Long,
    /// One that is long is refused.
    LongRefused,
}

impl PasswordTrouble {
    /// The longest password that is not long, in bytes.
    const LIMIT: usize = 72;

    /// Fails, or refuses, a password.
    pub fn check(self, password: &str) -> Result<(), Refusal> {
        let long = password.len() > Self::LIMIT;
        match self {
            Self::NonAscii if !password.is_ascii() => Err(Refusal::Failure),
            Self::Long if long => Err(Refusal::Failure),
            Self::LongRefused if long => Err(Refusal::MemberInvalid),
            _ => Ok(()),
        }
    }
}

/// The `user_id` of a login where capitals do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnsweredName {
    #[default]
    Canonical,
    AsTyped,
    /// And the access token is not known.
    AsTypedAndDead,
}

/// What a login with a wrong password does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedLogin {
    #[default]
    Nothing,
    MakesDevice,
    RenamesDevice,
    /// If the login names none.
    MakesNewDevice,
    /// With an id of its own, whatever the login names.
    MakesOtherDevice,
    EndsDevice,
    EndsSessions,
}

/// By what address a login names the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    Email,
    Msisdn,
    Phone,
    /// The older members `medium` and `address`.
    Deprecated,
}

/// A refusal of every so manieth login with right credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRefusal {
    pub every: u64,
    pub refusal: Refusal,
    pub body: LimitBody,
}

/// The body of such a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitBody {
    Right,
    Without(&'static str),
    Number(&'static str),
    Text(&'static str),
}

/// How the user whom a request names is found.
#[derive(Debug, Clone, Default)]
pub struct IdentificationPolicy {
    pub identifier: IdentifierMember,
    pub full_ids: NameForm,
    pub localparts: NameForm,
    pub foreign_ids: ForeignIds,
    pub folds_case: bool,
    pub user_member: UserMember,
    pub deprecated_address: DeprecatedAddress,
    pub emails: Emails,
    pub msisdns_unknown: bool,
    pub phones: Phones,
    /// A user name that is not a text is written as one.
    pub non_string_names: bool,
    /// The part of an identifier that a login fails at where it is not a text.
    pub mistyped_fails: Option<IdentifierPart>,
}

/// A part of an identifier, or one of the members that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifierPart {
    Country,
    Phone,
    Medium,
    Address,
    DeprecatedUser,
    DeprecatedMedium,
    DeprecatedAddress,
}

/// The member `identifier`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdentifierMember {
    #[default]
    Read,
    Unread,
    /// Not read by servers that list only releases before it came.
    ReadSinceItsRelease,
    /// A text is taken for a user name.
    TextIsUser,
    /// An unknown type is taken for `m.id.user`.
    AnyTypeIsUser,
}

/// What becomes of user names of one form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameForm {
    #[default]
    Found,
    Unknown,
    UnknownInIdentifier,
    InvalidInIdentifier,
}

/// Ids of other servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForeignIds {
    #[default]
    Unknown,
    TakenForLocal,
    /// Where the other server's name begins with this one's.
    TakenForLocalByBeginning,
}

/// The older member `user`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserMember {
    #[default]
    Read,
    Unread,
    FullIdsUnknown,
    ServerUnread,
}

/// The older members `medium` and `address`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeprecatedAddress {
    #[default]
    Read,
    Unread,
    Unknown,
}

/// E-mail addresses that are bound to accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emails {
    #[default]
    FoundInAnyCase,
    FoundInTheirCase,
    Unknown,
}

/// Phone numbers as people type them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phones {
    #[default]
    Found,
    Unknown,
    /// `m.id.phone` is an unknown type.
    NotSupported,
}

/// The opening of a session.
#[derive(Debug, Clone, Default)]
pub struct OpeningPolicy {
    pub device_id: DeviceIdMember,
    pub display_name: DisplayNameMember,
    pub refresh_flag: RefreshFlag,
    pub token_owner: TokenOwner,
    pub token_device: TokenDevice,
    pub generated_ids: GeneratedIds,
    pub cross_signing_keys_taken: bool,
    pub id_of_another_user: SharedId,
    pub known_keeps_access_token: bool,
    pub known_keeps_refresh_token: bool,
    pub other_devices: OtherDevices,
    pub creates_device: CreatesDevice,
    pub known_device: KnownDevice,
    /// The name of devices that are given none.
    pub default_name: Option<&'static str>,
    /// Access tokens that nobody knows afterwards.
    pub dead_tokens: Times,
    pub token_on_known_device: KnownDeviceToken,
    pub always_expires: bool,
    /// The deprecated member `home_server` is given, whatever is listed.
    pub home_server: bool,
    /// Refresh tokens that nobody knows afterwards.
    pub dead_refresh_tokens: bool,
}

/// The `device_id` that a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceIdMember {
    #[default]
    Kept,
    Unread,
    UnreadByTokenLogin,
    /// Not read by servers that list only releases before it came.
    ReadSinceItsRelease,
    Capitals,
    PunctuationRemoved,
    NonStringIsText,
    /// `false` and 0 are given back as they are.
    FalsyEchoed,
}

/// The `initial_device_display_name` that a client gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DisplayNameMember {
    #[default]
    Kept,
    Unread,
    UnreadByTokenLogin,
    FirstFourCharacters,
    SmallLetters,
    AsciiOnly,
    NonStringIsText,
}

/// The `refresh_token` flag of a login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefreshFlag {
    #[default]
    Boolean,
    TextIsBoolean,
    AlwaysTrue,
}

/// Whose the access token of a new session is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenOwner {
    #[default]
    User,
    Another,
    AnotherByTokenLogin,
    FirstUser,
}

/// The device that the access token belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenDevice {
    #[default]
    AsTold,
    Other,
    OtherThanGenerated,
    FirstOfUser,
    /// A device of the user whose id differs in nothing but the case of letters.
    KnownInAnyCase,
}

/// Device ids that the homeserver makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GeneratedIds {
    #[default]
    Fresh,
    /// With a slash, a blank and letters outside ASCII.
    Odd,
    Untold,
    Empty,
    Constant,
    /// The device of the same display name.
    ByName,
}

/// A `device_id` that another user has too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SharedId {
    #[default]
    Unrelated,
    Refused,
    TakenAway,
}

/// What a login does to the user's other devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherDevices {
    #[default]
    Untouched,
    LoggedOut,
    Deleted,
}

/// Whether a device is put on record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CreatesDevice {
    #[default]
    Always,
    IfGenerated,
    Never,
}

/// What a login does to a device that there is already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KnownDevice {
    #[default]
    Kept,
    NameReplaced,
    NameRemoved,
    Doubled,
}

/// The access token of a login on a device that there is already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KnownDeviceToken {
    #[default]
    Good,
    Dead,
    GoodForOneRequest,
}

/// `POST /v1/login/get_token`, and the login with what it gives.
#[derive(Debug, Clone, Default)]
pub struct LoginTokenPolicy {
    pub accepts: LoginTokenKinds,
    pub uses: LoginTokenUses,
    pub never_expire: bool,
    /// They live far longer than is said.
    pub understated: bool,
    pub limit: GetTokenLimit,
    pub login: TokenLogin,
    pub opens_another: bool,
    pub uia: GetTokenUia,
    pub made: MadeToken,
    pub ends_session: bool,
    /// The refresh tokens of logins with a token are not known.
    pub dead_refresh_tokens: bool,
    /// `user_id` in the body names the user whom the token logs in.
    pub body_user: bool,
    /// The device of a login that names none.
    pub device: TokenLoginDevice,
}

/// The limit on get_token, where there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GetTokenLimit {
    #[default]
    Own,
    /// That of logins.
    AsLogins,
    None,
}

/// The device of a token login that names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenLoginDevice {
    #[default]
    OfItsOwn,
    Untold,
    Unrecorded,
}

/// What logs in as a login token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginTokenKinds {
    #[default]
    LoginTokens,
    AccessTokensToo,
    /// Any text, as the first account.
    Any,
}

/// How often a login token is good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginTokenUses {
    #[default]
    Once,
    /// By all logins that are sent together.
    OnceButForRaces,
    Unlimited,
}

/// What a token login needs beside the token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenLogin {
    #[default]
    NeedsNothingMore,
    NeedsIdentifier,
    /// An access token of the user whose login token it is.
    NeedsMaker,
    Refused,
}

/// When get_token asks for interactive auth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GetTokenUia {
    #[default]
    EveryTime,
    FirstTime,
    Never,
}

/// What the login token that is made is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MadeToken {
    #[default]
    OfCaller,
    /// All tokens that are out become the caller's.
    AllOfCaller,
    Unknown,
}
