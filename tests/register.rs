//! The bundled register, held against facts of the specification that are written down here a
//! second time: how many requirements there are, which operations answer with which statuses, and
//! which requirement has to be named for which broken answer.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::ast::StepTarget;
use homespec::case::suite::Suite;
use homespec::model::release::{Listed, SpecVersion};
use homespec::model::run::{Level, Mark};
use homespec::requirements::{NEEDS, Register, Requirement, Rule, Severity, StandingCheck, Tier};
use homespec::spec::Spec;
use std::collections::BTreeSet;
use std::sync::LazyLock;

fn register() -> &'static Register {
    static REGISTER: LazyLock<Register> = LazyLock::new(|| Register::bundled().unwrap());
    &REGISTER
}

fn listed(entries: &[&str]) -> Listed {
    Listed::new(entries.iter().copied())
}

/// Method and path of every operation that the register links to, as published with v1.19.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("changePassword", "post", "/_matrix/client/v3/account/password"),
    ("checkUsernameAvailability", "get", "/_matrix/client/v3/register/available"),
    ("deactivateAccount", "post", "/_matrix/client/v3/account/deactivate"),
    ("deleteDevice", "delete", "/_matrix/client/v3/devices/{deviceId}"),
    ("deleteDevices", "post", "/_matrix/client/v3/delete_devices"),
    ("generateLoginToken", "post", "/_matrix/client/v1/login/get_token"),
    ("getAdminLockUser", "get", "/_matrix/client/v1/admin/lock/{userId}"),
    ("getAuthMetadata", "get", "/_matrix/client/v1/auth_metadata"),
    ("getCapabilities", "get", "/_matrix/client/v3/capabilities"),
    ("getDevice", "get", "/_matrix/client/v3/devices/{deviceId}"),
    ("getDevices", "get", "/_matrix/client/v3/devices"),
    ("getLoginFlows", "get", "/_matrix/client/v3/login"),
    ("getTokenOwner", "get", "/_matrix/client/v3/account/whoami"),
    ("getVersions", "get", "/_matrix/client/versions"),
    ("getWellknown", "get", "/.well-known/matrix/client"),
    ("login", "post", "/_matrix/client/v3/login"),
    ("logout", "post", "/_matrix/client/v3/logout"),
    ("logout_all", "post", "/_matrix/client/v3/logout/all"),
    ("redirectToIdP", "get", "/_matrix/client/v3/login/sso/redirect/{idpId}"),
    ("redirectToSSO", "get", "/_matrix/client/v3/login/sso/redirect"),
    ("refresh", "post", "/_matrix/client/v3/refresh"),
    ("register", "post", "/_matrix/client/v3/register"),
    (
        "registrationTokenValidity",
        "get",
        "/_matrix/client/v1/register/m.login.registration_token/validity",
    ),
    ("setAdminLockUser", "put", "/_matrix/client/v1/admin/lock/{userId}"),
    ("updateDevice", "put", "/_matrix/client/v3/devices/{deviceId}"),
];

/// The headings of the published text that the register links to, besides operations.
const HEADINGS: &[(&str, &[&str])] = &[
    (
        "https://spec.matrix.org/v1.19/client-server-api/",
        &[
            "account-locking",
            "account-management-url-actions",
            "account-suspension",
            "api-standards",
            "appservice-login",
            "authentication-api-discovery",
            "client-login-via-sso",
            "common-error-codes",
            "definition-mloginsso-flow-schema",
            "device-authorisation-grant",
            "fallback",
            "guest-access",
            "handling-the-callback-from-the-authentication-server",
            "identifier-types",
            "legacy-login",
            "login-fallback",
            "matrix-user-id",
            "mchange_password-capability",
            "mget_login_token-capability",
            "oauth-20-aware-clients",
            "oauth-authentication",
            "password-based",
            "phone-number",
            "rate-limiting",
            "redirecting-to-the-authentication-server",
            "refreshing-access-tokens",
            "relationship-between-access-tokens-and-devices",
            "soft-logout",
            "sso-during-user-interactive-authentication",
            "standard-error-response",
            "third-party-id",
            "user-interactive-api-in-the-rest-api",
            "user-interactive-authentication-api",
            "using-access-tokens",
            "web-browser-clients",
            "well-known-uris",
        ],
    ),
    (
        "https://spec.matrix.org/unstable/client-server-api/",
        &["using-access-tokens", "well-known-uris"],
    ),
    (
        "https://spec.matrix.org/v1.19/application-service-api/",
        &["identity-assertion", "server-admin-style-permissions"],
    ),
    (
        "https://spec.matrix.org/v1.19/appendices/",
        &["common-namespaced-identifier-grammar", "e-mail", "opaque-identifiers"],
    ),
    ("https://spec.matrix.org/v1.19/", &["deprecation-policy", "devices", "legacy-versioning"]),
    ("https://matrix.org/docs/spec/client_server/r0.6.1", &["get-matrix-client-versions"]),
    ("https://matrix.org/docs/spec/client_server/r0.4.0.html", &["cas-based-client-login"]),
    (
        "https://matrix.org/docs/spec/client_server/r0.5.0.html",
        &["post-matrix-client-r0-account-password"],
    ),
];

/// The anchor that the published text gives an operation: the method and the path, without what no
/// anchor may hold.
fn operation_anchor(method: &str, path: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    format!("{method}{}", path.to_lowercase().chars().filter(kept).collect::<String>())
}

#[test]
fn every_requirement_of_the_catalogue_is_there() {
    let count =
        |level, mark| register().iter().filter(|r| r.level == level && r.mark == mark).count();
    let counts =
        |level| [Mark::Plain, Mark::Soft, Mark::Derived, Mark::Schema].map(|m| count(level, m));
    // One of the schema requirements is for all that no other one watches.
    assert_eq!(counts(Level::Must), [42, 195, 81, 58 + 1]);
    assert_eq!(counts(Level::Should), [18, 32, 32, 0]);
    assert_eq!(counts(Level::May), [3, 11, 2, 0]);
    assert_eq!(register().iter().len(), 475);
}

/// Rows that demand nothing of a server: permissions, open questions, rules for readers.
const NOTES: &[&str] = &[
    "http.request.duplicate_auth_header",
    "error.status_vs_code",
    "versions.auth.extra",
    "login.response.well_known.extra",
    "auth_metadata.account_management.other_action",
    "login.post.type.unknown.errcode",
    "login.post.type.enum_dropped",
    "login.legacy.medium",
    "device.login.reuse.old_token",
    "device.login.no_name",
    "token.query.removed",
    "whoami.as.forbidden.errcode",
    "refresh.login.expires_without",
    "refresh.old_access_token",
    "get_token.optional",
    "uia.challenge.errcode_optional",
];

#[test]
fn what_demands_nothing_is_a_note_that_never_applies() {
    let notes: Vec<&str> =
        register().iter().filter(|r| r.informative).map(|r| r.id.as_str()).collect();
    assert_eq!(notes, NOTES);
    for release in ["r0.0.0", "r0.6.1", "v1.1", "v1.19", "v1.20"] {
        assert!(NOTES.iter().all(|id| !applies(id, &[release])), "{release}");
    }
    // What may be and is broken by nothing is a note; these have a form, or were demanded once.
    let others = register().iter().filter(|r| r.level == Level::May && !r.informative);
    let known = ["error.user_limit.can_upgrade", "rate_limit.retry_after_ms.present"];
    for other in others {
        let is_known = known.contains(&other.id.as_str()) || other.relaxed.is_some();
        assert!(is_known, "{}", other.id);
    }
}

#[test]
fn at_most_ten_rows_that_apply_cannot_be_decided_but_for_the_callbacks_of_sso() {
    let undecidable = register().iter().filter(|r| !r.informative && r.untestable.is_some());
    let left: Vec<&str> =
        undecidable.map(|r| r.id.as_str()).filter(|id| !id.starts_with("sso.callback.")).collect();
    assert!(left.len() <= 10, "{left:?}");
}

#[test]
fn every_group_is_whole_and_stands_together() {
    let register = register();
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for requirement in register.iter() {
        match groups.last_mut() {
            Some((group, count)) if *group == requirement.group => *count += 1,
            _ => groups.push((&requirement.group, 1)),
        }
    }
    let expected = [
        ("wire", 12),
        ("errors", 12),
        ("routes", 7),
        ("cors", 11),
        ("versions", 8),
        ("well-known", 14),
        ("auth-discovery", 17),
        ("login-flows", 17),
        ("login", 25),
        ("password", 41),
        ("login-token", 12),
        ("appservice", 18),
        ("devices", 42),
        ("access-tokens", 19),
        ("whoami", 15),
        ("logout", 22),
        ("refresh", 32),
        ("get-token", 38),
        ("sso", 18),
        ("fallback", 3),
        ("rate-limit", 11),
        ("account-state", 37),
        ("registration", 44),
    ];
    assert_eq!(groups, expected);
}

#[test]
fn the_tiers_are_those_of_the_catalogue() {
    let count = |tier| register().iter().filter(|r| r.tier == tier).count();
    assert_eq!([Tier::T0, Tier::T1, Tier::T2, Tier::T3].map(count), [174 + 1, 94, 144, 62]);
}

#[test]
fn every_word_of_needs_is_used() {
    let register = register();
    let used: BTreeSet<&str> = register.iter().flat_map(|r| &r.needs).map(String::as_str).collect();
    let known: BTreeSet<&str> = NEEDS.iter().map(|(word, _)| *word).collect();
    assert_eq!(used, known);
}

#[test]
fn every_link_leads_to_a_heading_or_an_operation() {
    let operations: BTreeSet<String> =
        OPERATIONS.iter().map(|(_, method, path)| operation_anchor(method, path)).collect();
    let of_operation = |page: &str, anchor: &str| {
        page == "https://spec.matrix.org/v1.19/client-server-api/" && operations.contains(anchor)
    };
    for requirement in register().iter() {
        let (page, anchor) = requirement.url.split_once('#').unwrap();
        let heading = HEADINGS.iter().any(|(p, anchors)| *p == page && anchors.contains(&anchor));
        assert!(heading || of_operation(page, anchor), "{}: {}", requirement.id, requirement.url);
    }
}

#[test]
fn anchors_of_operations_are_made_as_published() {
    let anchor = |id: &str| {
        let (_, method, path) = OPERATIONS.iter().find(|(o, ..)| *o == id).unwrap();
        operation_anchor(method, path)
    };
    assert_eq!(anchor("login"), "post_matrixclientv3login");
    assert_eq!(anchor("generateLoginToken"), "post_matrixclientv1loginget_token");
    assert_eq!(anchor("getWellknown"), "getwell-knownmatrixclient");
    assert_eq!(anchor("getDevice"), "get_matrixclientv3devicesdeviceid");
}

#[test]
fn sentences_are_sentences() {
    for requirement in register().iter() {
        let texts = [
            Some(&requirement.title),
            Some(&requirement.check),
            requirement.note.as_ref(),
            requirement.untestable.as_ref(),
        ];
        for text in texts.into_iter().flatten() {
            assert!(text.ends_with('.') && text.trim() == text, "{}: {text}", requirement.id);
        }
        // A title stands alone in a report, away from the one before it in the file.
        let first = requirement.title.split(' ').next().unwrap();
        assert!(
            !["That", "Those", "They", "Such", "Its", "It"].contains(&first),
            "{}",
            requirement.id
        );
    }
}

#[test]
fn every_reason_for_another_treatment_is_given() {
    for requirement in register().iter() {
        let treated = requirement.tightened.or(requirement.relaxed).is_some() || requirement.warns;
        assert!(!treated || requirement.note.is_some(), "{}", requirement.id);
    }
}

/// Operations that cases call and no requirement says that they work, with the reason.
const WITHOUT_WORKS: &[(&str, &str)] = &[
    ("checkUsernameAvailability", "a server may have no registration"),
    ("getAuthMetadata", "optional"),
    ("getCapabilities", "no requirement asks for it: it is outside the login API"),
    ("getLoginFlows", "a server without the legacy API has none"),
    ("getWellknown", "optional"),
];

#[test]
fn every_operation_that_a_case_calls_has_a_requirement_that_says_that_it_works() {
    let suite = Suite::bundled().unwrap();
    let called: BTreeSet<&str> = suite
        .cases()
        .flat_map(|case| case.all_steps())
        .filter_map(|step| match &step.target {
            StepTarget::Call(operation) => Some(operation.as_str()),
            StepTarget::Raw { .. } | StepTarget::Operator(_) => None,
        })
        .collect();
    let excepted = WITHOUT_WORKS.iter().map(|(operation, _)| *operation);
    let works = register().iter().filter_map(|requirement| requirement.works.as_deref());
    let known: BTreeSet<&str> = works.chain(excepted).collect();
    assert_eq!(called, known);
}

#[test]
fn every_rule_decides_one_requirement() {
    let register = register();
    let decided: BTreeSet<&str> =
        Rule::ALL.iter().map(|rule| register.rule(*rule).unwrap().id.as_str()).collect();
    assert_eq!(decided.len(), Rule::ALL.len());
    assert_eq!(register.rule(Rule::SoftLogout).unwrap().id, "error.soft_logout.type");
}

/// Every way in which an answer can differ from a bundled schema.
fn locations() -> Vec<(String, u16, String, String)> {
    let specs = [Spec::bundled_v1(), Spec::bundled_r0()].map(Result::unwrap);
    let all = specs.iter().flat_map(Spec::schema_locations);
    all.map(|l| (l.operation, l.status.parse().unwrap(), l.pointer, l.keyword)).collect()
}

#[test]
fn every_watch_is_of_something_that_the_bundled_schemas_say() {
    let locations = locations();
    for requirement in register().iter() {
        for watch in &requirement.standing {
            let StandingCheck::Schema(watch) = watch else { continue };
            let found = locations.iter().any(|(o, s, p, k)| watch.matches(o, *s, p, k));
            let by_prose = NULLS_BY_PROSE.contains(&requirement.id.as_str());
            assert!(found != by_prose, "{}: {watch:?}", requirement.id);
        }
        for permitted in &requirement.permits {
            let found = locations.iter().any(|(o, s, p, k)| permitted.matches(o, *s, p, k));
            assert!(found, "{}: {permitted:?}", requirement.id);
        }
    }
}

/// Requirements with places of null in optional members that no schema of an answer describes.
const NULLS_BY_PROSE: &[&str] = &[
    "login.get.sso.identity_providers",
    "login.get.sso.idp.icon",
    "login.get.sso.idp.brand",
    "login.get.sso.oauth_aware.type",
];

#[test]
fn everything_that_the_bundled_schemas_say_is_watched() {
    for (operation, status, pointer, keyword) in locations() {
        let requirement_for_violation =
            register().requirement_for_violation(&operation, status, &pointer, &keyword);
        let is_permitted = register().permits(&operation, status, &pointer, &keyword);
        let name = format!("{operation} {status} {pointer} {keyword}");
        assert!(requirement_for_violation.is_some() != is_permitted, "{name}");
    }
}

/// One violation, and the only requirement that it is a finding of.
const VIOLATIONS: &[(&str, u16, &str, &str, &str)] = &[
    ("getVersions", 200, "/versions", "required", "versions.versions.required"),
    ("getVersions", 200, "/versions/3", "type", "versions.versions.required"),
    (
        "getVersions",
        200,
        "/unstable_features/org.example",
        "type",
        "versions.unstable_features.type",
    ),
    ("getVersions", 200, "/unstable_features", "null", "versions.unstable_features.type"),
    ("getWellknown", 200, "", "type", "well_known.get.json"),
    ("getWellknown", 200, "", "null", "well_known.get.json"),
    ("getWellknown", 200, "/m.homeserver", "required", "well_known.homeserver.required"),
    ("getWellknown", 200, "/m.homeserver/base_url", "type", "well_known.homeserver.required"),
    ("getWellknown", 200, "/m.homeserver/base_url", "format", "well_known.homeserver.url"),
    (
        "getWellknown",
        200,
        "/m.identity_server/base_url",
        "format",
        "well_known.identity_server.shape",
    ),
    ("getAuthMetadata", 200, "/issuer", "required", "auth_metadata.required"),
    ("getAuthMetadata", 200, "/issuer", "format", "auth_metadata.issuer"),
    ("getAuthMetadata", 200, "/grant_types_supported/0", "type", "auth_metadata.required"),
    ("getAuthMetadata", 200, "/account_management_uri", "null", "auth_metadata.account_management"),
    ("getAuthMetadata", 200, "/prompt_values_supported", "type", "http.response.schema"),
    ("getLoginFlows", 200, "/flows", "required", "login.get.flows"),
    ("getLoginFlows", 200, "/flows", "type", "login.get.flows"),
    ("getLoginFlows", 200, "/flows/0", "type", "login.get.flows"),
    ("getLoginFlows", 200, "/flows/0/type", "required", "login.get.flow.type"),
    ("getLoginFlows", 200, "/flows/1/get_login_token", "type", "login.get.get_login_token.type"),
    (
        "getLoginFlows",
        200,
        "/flows/1/identity_providers",
        "null",
        "login.get.sso.identity_providers",
    ),
    ("getLoginFlows", 200, "/flows/1/identity_providers/0/icon", "null", "login.get.sso.idp.icon"),
    (
        "getLoginFlows",
        200,
        "/flows/1/identity_providers/0/brand",
        "null",
        "login.get.sso.idp.brand",
    ),
    (
        "getLoginFlows",
        200,
        "/flows/1/oauth_aware_preferred",
        "null",
        "login.get.sso.oauth_aware.type",
    ),
    ("getLoginFlows", 404, "/errcode", "required", "error.shape.errcode"),
    ("getLoginFlows", 429, "/errcode", "required", "login.get.rate_limited"),
    ("getLoginFlows", 429, "/retry_after_ms", "type", "rate_limit.retry_after_ms.type"),
    ("login", 200, "/user_id", "required", "login.post.ok.required"),
    ("login", 200, "/user_id", "type", "login.post.ok.required"),
    ("login", 200, "/user_id", "null", "login.post.ok.required"),
    ("login", 200, "/user_id", "pattern", "login.post.ok.user_id.form"),
    ("login", 200, "/user_id", "format", "login.post.ok.user_id.form"),
    ("login", 200, "/access_token", "required", "login.post.ok.required"),
    ("login", 200, "/access_token", "type", "login.post.ok.access_token"),
    ("login", 200, "/access_token", "null", "login.post.ok.access_token"),
    ("login", 200, "/device_id", "required", "login.post.ok.required"),
    ("login", 200, "/device_id", "null", "login.post.ok.device_id.type"),
    ("login", 200, "/home_server", "format", "login.post.ok.home_server"),
    ("login", 200, "/home_server", "null", "login.post.ok.no_null"),
    ("login", 200, "/expires_in_ms", "type", "login.post.ok.expires_in_ms"),
    ("login", 200, "/expires_in_ms", "null", "login.post.ok.no_null"),
    ("login", 200, "/refresh_token", "type", "login.post.ok.refresh_token"),
    ("login", 200, "/refresh_token", "null", "login.post.ok.refresh_token"),
    ("login", 200, "/well_known", "null", "login.post.ok.no_null"),
    ("login", 200, "/well_known", "type", "login.response.well_known.shape"),
    ("login", 200, "/well_known/m.homeserver/base_url", "type", "login.response.well_known.shape"),
    ("login", 200, "", "type", "http.response.schema"),
    ("login", 400, "/errcode", "required", "login.post.400.shape"),
    ("login", 403, "/errcode", "required", "login.post.403.shape"),
    ("login", 403, "/error", "type", "login.post.403.shape"),
    ("login", 403, "", "type", "login.post.403.shape"),
    ("login", 429, "/errcode", "type", "login.post.rate_limited"),
    ("login", 429, "/retry_after_ms", "null", "rate_limit.retry_after_ms.type"),
    ("getTokenOwner", 200, "/user_id", "pattern", "whoami.ok"),
    ("getTokenOwner", 200, "/is_guest", "type", "whoami.is_guest.type"),
    ("getTokenOwner", 200, "/device_id", "type", "http.response.schema"),
    ("getTokenOwner", 401, "/errcode", "required", "error.shape.errcode"),
    ("getTokenOwner", 401, "/error", "type", "error.shape.error"),
    ("getDevices", 200, "/devices/0/device_id", "required", "device.list.shape"),
    ("getDevice", 200, "/device_id", "required", "http.response.schema"),
    ("logout", 200, "", "type", "logout.ok"),
    ("logout_all", 200, "", "type", "logout_all.ok"),
    ("refresh", 200, "/access_token", "required", "refresh.ok.required"),
    ("refresh", 200, "/expires_in_ms", "type", "refresh.ok.types"),
    ("refresh", 401, "/errcode", "type", "error.shape.errcode"),
    ("refresh", 429, "/error", "type", "refresh.rate_limited"),
    ("generateLoginToken", 200, "/login_token", "required", "get_token.ok.required"),
    ("generateLoginToken", 401, "/flows", "required", "uia.challenge.flows"),
    ("generateLoginToken", 401, "/flows/0/stages/1", "type", "uia.challenge.flows"),
    ("deleteDevice", 401, "/params/m.login.terms", "type", "uia.challenge.optional"),
    ("changePassword", 401, "/session", "null", "uia.challenge.optional"),
    ("register", 401, "/completed/0", "type", "uia.challenge.optional"),
    (
        "getCapabilities",
        200,
        "/capabilities/m.get_login_token/enabled",
        "required",
        "get_token.capability.shape",
    ),
    ("getCapabilities", 200, "/capabilities/m.change_password", "type", "http.response.schema"),
    (
        "getCapabilities",
        200,
        "/capabilities/m.account_moderation",
        "type",
        "state.moderation.capability",
    ),
    (
        "getCapabilities",
        200,
        "/capabilities/m.account_moderation/lock",
        "type",
        "state.moderation.capability",
    ),
    ("register", 200, "/user_id", "pattern", "register.ok.shape"),
    ("register", 200, "/user_id", "required", "register.ok.shape"),
    ("register", 200, "/device_id", "null", "register.ok.shape"),
    ("checkUsernameAvailability", 200, "/available", "type", "register.available.shape"),
    ("anotherOperation", 418, "/some/where", "minimum", "http.response.schema"),
];

#[test]
fn every_broken_schema_is_a_finding_of_exactly_one_requirement() {
    let register = register();
    for (operation, status, pointer, keyword, expected) in VIOLATIONS {
        let requirement_for_violation = register
            .requirement_for_violation(operation, *status, pointer, keyword)
            .map(|r| r.id.as_str());
        assert_eq!(
            requirement_for_violation,
            Some(*expected),
            "{operation} {status} {pointer} {keyword}"
        );
    }
}

#[test]
fn every_watching_requirement_is_reached_by_some_violation() {
    let reached: BTreeSet<&str> = VIOLATIONS.iter().map(|(.., id)| *id).collect();
    let has_watch =
        |r: &&Requirement| r.standing.iter().any(|w| matches!(w, StandingCheck::Schema(_)));
    let register = register();
    let requirement_for_violation: BTreeSet<&str> =
        register.iter().filter(has_watch).map(|r| r.id.as_str()).collect();
    assert_eq!(reached, requirement_for_violation);
}

fn severity(id: &str, versions: &[&str]) -> Severity {
    register().get(id).unwrap().severity(&listed(versions))
}

fn applies(id: &str, versions: &[&str]) -> bool {
    register().get(id).unwrap().applies(&listed(versions))
}

#[test]
fn what_became_binding_later_only_warns_on_older_servers() {
    assert_eq!(severity("login.post.ok.required", &["r0.6.1", "v1.3"]), Severity::Warns);
    assert_eq!(severity("login.post.ok.required", &["v1.3", "v1.4"]), Severity::Fails);
    assert_eq!(severity("login.get.flow.type", &["v1.6"]), Severity::Warns);
    assert_eq!(severity("get_token.uia.always", &["v1.11"]), Severity::Fails);
    assert_eq!(severity("fallback.page.callback", &["v1.11"]), Severity::Warns);
    assert_eq!(severity("rate_limit.retry_after_ms.present", &["v1.9"]), Severity::Warns);
    assert_eq!(severity("rate_limit.retry_after_ms.present", &["v1.10"]), Severity::Observes);
}

#[test]
fn the_query_token_goes_by_what_is_listed() {
    assert!(applies("token.query.legacy", &["v1.19", "v1.20"]), "still listed, so still due");
    assert!(!applies("token.query.legacy", &["v1.20"]));
}

#[test]
fn old_and_new_prefixes_go_by_what_is_listed() {
    assert!(
        applies("route.r0_prefix", &["r0.6.1", "v1.19"]) && !applies("route.r0_prefix", &["v1.1"])
    );
    assert!(applies("route.v3_prefix", &["v1.1"]) && !applies("route.v3_prefix", &["r0.6.1"]));
    assert!(!applies("versions.latest_patch", &["r0.6.0", "r0.6.1", "v1.1"]));
}

#[test]
fn clarifications_bind_every_server() {
    assert!(applies("logout.empty_body", &["r0.1.0"]));
    assert!(!applies("refresh.early", &["v1.2"]) && applies("refresh.early", &["v1.3"]));
}

#[test]
fn all_rules_of_the_newest_release_apply_to_a_broken_list() {
    let register = register();
    let newer = |r: &&Requirement| r.since > SpecVersion::NEWEST;
    let historic =
        ["route.r0_prefix", "versions.latest_patch", "state.password_changed.other_tokens"];
    let never = historic.iter().chain(NOTES).copied();
    let expected: BTreeSet<&str> =
        register.iter().filter(newer).map(|r| r.id.as_str()).chain(never).collect();
    let left_out: BTreeSet<&str> =
        register.iter().filter(|r| !r.applies(&listed(&[]))).map(|r| r.id.as_str()).collect();
    assert_eq!(left_out, expected);
}
