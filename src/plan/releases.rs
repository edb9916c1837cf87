//! Releases in which operations came. Pure.
use crate::case::ast::{Case, StepTarget};
use crate::model::release::SpecVersion;
use crate::spec::{Operation, Spec};
use SpecVersion::R;

/// Operations of the r0 releases; the published files of that time do not say when each came.
/// (changelogs/legacy/client_server.rst; `POST /logout/all` and the redirect to single sign-on are
/// not under "New Endpoints" there, but "Document /logout/all" and "Add a generic SSO login API".)
const SINCE_R0: [(&str, SpecVersion); 13] = [
    ("logout", R(0, 1, 0)),
    ("deactivateAccount", R(0, 2, 0)),
    ("getTokenOwner", R(0, 3, 0)),
    ("getDevices", R(0, 3, 0)),
    ("getDevice", R(0, 3, 0)),
    ("updateDevice", R(0, 3, 0)),
    ("deleteDevice", R(0, 3, 0)),
    ("deleteDevices", R(0, 4, 0)),
    ("logout_all", R(0, 4, 0)),
    ("checkUsernameAvailability", R(0, 4, 0)),
    ("getWellknown", R(0, 4, 0)),
    ("redirectToSSO", R(0, 5, 0)),
    ("getCapabilities", R(0, 5, 0)),
];

/// The release in which an operation came, at whatever path; none for those of the first release.
pub(super) fn since(operation: &Operation) -> Option<SpecVersion> {
    let in_r0 = SINCE_R0.iter().find(|(id, _)| *id == operation.id).map(|(_, since)| *since);
    let of_file = || SpecVersion::parse(&format!("v{}", operation.added_in.as_deref()?));
    in_r0.or_else(of_file)
}

/// The first release that has every operation that a case calls.
pub(super) fn needed(case: &Case, spec: &Spec) -> Option<SpecVersion> {
    let called = case.all_steps().filter_map(|step| match &step.target {
        StepTarget::Call(id) => spec.operation(id),
        StepTarget::Raw { .. } | StepTarget::Operator(_) => None,
    });
    called.filter_map(since).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::suite::Suite;

    #[test]
    fn the_newest_operation_of_a_case_decides() {
        let (spec, suite) = (Spec::bundled_v1().unwrap(), Suite::bundled().unwrap());
        let of = |id: &str| {
            let case = suite.cases().find(|case| case.id.split('[').next() == Some(id)).unwrap();
            needed(case, &spec).map(|release| release.to_string())
        };
        assert_eq!(of("device-deletion-in-bulk").as_deref(), Some("r0.4.0"));
        assert_eq!(of("token-in-header").as_deref(), Some("r0.3.0"));
        assert_eq!(of("login-token-logs-in-once").as_deref(), Some("v1.7"));
        assert_eq!(of("sso-redirect").as_deref(), Some("r0.5.0"));
        assert_eq!(of("no-type"), None);
    }

    #[test]
    fn every_operation_of_the_table_is_one() {
        let specs = [Spec::bundled_v1().unwrap(), Spec::bundled_r0().unwrap()];
        for (id, _) in SINCE_R0 {
            assert!(specs.iter().any(|spec| spec.operation(id).is_some()), "{id}");
        }
    }
}
