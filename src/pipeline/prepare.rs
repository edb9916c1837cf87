//! A run that is ready to begin, before anything is sent.
use super::{Job, JobError, Material, chosen};
use crate::accounts::pool::AccountProvider;
use crate::case::ast::Case;
use crate::http::cancel::Cancellation;
use crate::http::client::HttpClient;
use crate::http::created_resources::CreatedResources;
use crate::http::legacy_login::LoginDialect;
use crate::http::message::Exchange;
use crate::http::rate_limit::{Patience, RateLimits};
use crate::http::sender::RequestSender;
use crate::http::supplied_accounts::SuppliedAccounts;
use crate::plan::capabilities;
use crate::redact::Vault;
use std::sync::Arc;

/// A run that is prepared: files and selection are right, nothing has been sent.
pub struct Prepared {
    pub(super) material: Arc<Material>,
    pub(super) job: Job,
    pub(super) selected: Vec<Arc<Case>>,
    pub(super) sender: RequestSender,
    pub(super) vault: Arc<Vault>,
    /// The well-known file that led to the target, and what was exchanged for it.
    pub(super) discovered: Option<String>,
    pub(super) elsewhere: Vec<Exchange>,
    /// Set it to stop the run.
    pub stop: Cancellation,
}

impl Prepared {
    /// Vault with the secrets of the run, and their names.
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.clone()
    }
}

/// Checks the selection and prepares the wire; nothing is sent.
///
/// # Errors
/// A selection that names nothing or is empty, a transport that cannot be.
pub fn prepare(material: Arc<Material>, mut job: Job) -> Result<Prepared, JobError> {
    job.sources = job.sources.in_order_of_use();
    if let Some(AccountProvider::Token(token)) = &job.sources.maker {
        job.operator.registration_token = Some(token.clone());
    }
    let given = (job.sources.facts(), job.operator.names());
    let missing = capabilities::not_given(&job.policies.required, &given.0, &given.1);
    if !missing.is_empty() {
        return Err(JobError::NotGiven(missing));
    }
    let selected: Vec<Arc<Case>> =
        chosen(&material, &job.selection)?.into_iter().cloned().collect();
    let vault = Arc::new(Vault::default());
    job.operator.tell(&vault);
    let sender = RequestSender {
        http: HttpClient::new(&job.transport, vault.clone())?,
        limits: Arc::new(RateLimits::new(job.max_wait)),
        patience: Patience::default(),
        created: Arc::new(CreatedResources::default()),
        supplied: Arc::new(SuppliedAccounts::new(&job.sources.supplied)),
        stop: Cancellation::default(),
        dialect: LoginDialect::default(),
        liveness: Arc::default(),
        homeserver: Arc::default(),
    };
    let stop = sender.stop.clone();
    let (discovered, elsewhere) = (None, Vec::new());
    Ok(Prepared { material, job, selected, sender, vault, discovered, elsewhere, stop })
}
