//! The files that a run tests with, read and found to be right.
use crate::case::ast::Target;
use crate::case::suite::Suite;
use crate::check::whole_run;
use crate::model::release::Listed;
use crate::plan;
use crate::requirements::Register;
use crate::spec::{Operation, Spec};
use crate::yaml::diagnostic::Diagnostic;
use std::path::Path;
use std::sync::Arc;
use std::{panic, thread};

/// What is tested with: files, read and found to be right.
#[derive(Debug, Clone)]
pub struct Material {
    /// Every case.
    pub suite: Suite,
    /// The register.
    pub register: Arc<Register>,
    /// For servers that list v1.1 or later.
    pub v1: Arc<Spec>,
    /// For servers that list only r0 releases.
    pub r0: Arc<Spec>,
}

impl Material {
    /// The bundled files, with cases and specification files of the user where there are some.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn load(suite: Option<Suite>, spec: Option<Spec>) -> Result<Material, Vec<Diagnostic>> {
        let own = |suite: Option<Suite>| suite.map_or_else(Suite::bundled, Ok);
        // Each takes as long as the other, and a test process of the harness begins with both.
        let (cases, specs) = thread::scope(|scope| {
            let specs = scope.spawn(bundled_specs);
            let cases = Register::bundled().and_then(|register| Ok((register, own(suite)?)));
            (cases, specs.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
        });
        let ((register, suite), (v1, r0)) = (cases?, specs?);
        let (v1, r0) = match spec {
            Some(spec) => (spec.clone().over(v1), spec.over(r0)),
            None => (v1, r0),
        };
        let faults = plan::lint(&suite, &register, &[&v1, &r0]);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (register, v1, r0) = (Arc::new(register), Arc::new(v1), Arc::new(r0));
        Ok(Material { suite, register, v1, r0 })
    }

    /// OpenAPI files for these cases, or the bundled ones, and warnings: what is wrong in files
    /// without any of the operations that cases or standing checks need.
    ///
    /// # Errors
    /// Every fault of the other files.
    pub fn spec_from(
        dir: &Path,
        suite: Option<&Suite>,
    ) -> Result<(Spec, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (v1, r0) = bundled_specs()?;
        let bundled: Vec<&Operation> = v1.operations().chain(r0.operations()).collect();
        let called = suite.into_iter().flat_map(Suite::cases).flat_map(|case| case.all_steps());
        let called: Vec<&str> = called
            .filter_map(|step| match &step.target {
                Target::Call(id) => Some(id.as_str()),
                Target::Raw { .. } | Target::Operator(_) => None,
            })
            .collect();
        Spec::from_dir_for(dir, &|operation| {
            let same =
                |known: &&Operation| known.id == operation.id || known.route() == operation.route();
            bundled.iter().any(same) || called.contains(&operation.id.as_str())
        })
    }

    /// The specification files for a server that lists this.
    pub fn spec_for(&self, listed: &Listed) -> Arc<Spec> {
        if listed.only_r0() { self.r0.clone() } else { self.v1.clone() }
    }

    /// Whether any case decides a requirement.
    pub fn covers(&self, requirement: &str) -> bool {
        whole_run::CHECKS.iter().any(|check| check.requirement == requirement)
            || self.suite.cases().any(|case| case.checks.iter().any(|id| id == requirement))
    }
}

fn bundled_specs() -> Result<(Spec, Spec), Vec<Diagnostic>> {
    Ok((Spec::bundled_v1()?, Spec::bundled_r0()?))
}
