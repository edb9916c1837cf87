//! Methods and paths of operations on a server. Pure.
use crate::case::ast::Api;
use crate::spec::Spec;
use std::sync::Arc;

/// Method and path template of the operations that cases call.
pub trait Routes: Send + Sync {
    /// The route of an operation under the run's path prefix, or under the one given.
    fn route(&self, operation: &str, api: Option<Api>) -> Option<Route>;
}

/// Method and path of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub method: String,
    /// Its path with `{names}`, below the base URL.
    pub path: String,
}

/// The operations of a specification under one path prefix.
#[derive(Debug, Clone)]
pub struct Paths {
    spec: Arc<Spec>,
    api: Api,
}

impl Paths {
    pub fn new(spec: Arc<Spec>, api: Api) -> Self {
        Paths { spec, api }
    }
}

impl Routes for Paths {
    fn route(&self, operation: &str, api: Option<Api>) -> Option<Route> {
        let operation = self.spec.operation(operation)?;
        let prefix = format!("/_matrix/client/{}/", api.unwrap_or(self.api).as_str());
        let known = ["/_matrix/client/v3/", "/_matrix/client/r0/"];
        let path = known
            .iter()
            .find_map(|known| operation.path.strip_prefix(known))
            .map_or_else(|| operation.path.clone(), |rest| format!("{prefix}{rest}"));
        Some(Route { method: operation.method.clone(), path })
    }
}
