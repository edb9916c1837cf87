//! The first two stages on a target: what it is and offers, and the plan for it.
use super::{ActiveRun, Job, Prepared, Times, Watcher};
use crate::accounts::pool::AccountPool;
use crate::case::ast::{Case, Feature};
use crate::check::standing::Context;
use crate::check::tally::Tally;
use crate::http::cancel::Cancellation;
use crate::http::client::{HttpClient, Transport};
use crate::http::discovery::{self, Search};
use crate::http::legacy_login::LoginDialect;
use crate::http::message::Exchange;
use crate::http::target::Target;
use crate::model::release::Listed;
use crate::plan::facts::{self, AccountFacts, Facts};
use crate::plan::routes::Paths;
use crate::plan::{self, Plan, Slot};
use crate::run::executor::{Executor, Observe};
use crate::run::probe::{self, AuthenticatedProbe, NoTarget, PublicProbe};
use crate::spec::Spec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for the probe after a signal, to receive the response that is on its way.
const GRACE: Duration = Duration::from_millis(1500);

/// A target that answers, with what was seen of it and what asks it from now on.
pub(super) struct Probed {
    public: PublicProbe,
    authenticated: AuthenticatedProbe,
    pool: AccountPool,
    routes: Arc<Paths>,
    spec: Arc<Spec>,
}

/// Reason why there is no target, with the exchanges that show it.
pub(super) type NotThere = (NoTarget, Vec<Exchange>);

impl Prepared {
    /// Sends the probe's GETs alone and makes the plan.
    ///
    /// # Errors
    /// There is no target.
    pub async fn preview(&mut self, watcher: &dyn Watcher) -> Result<Plan, NoTarget> {
        let public = self.look(watcher).await.map_err(|(why, _)| why)?;
        let mut facts = self.facts(&public, None, self.job.sources.facts());
        // What only a login can show is taken as offered: the bound is an upper one.
        facts.features.extend([Feature::Refresh, Feature::GetToken]);
        Ok(self.planned(&self.material.spec_for(&facts.listed), &facts))
    }

    /// Looks for the target and asks it, where something that was selected needs an account with
    /// one.
    pub(super) async fn probe(&mut self, watcher: &dyn Watcher) -> Result<Probed, NotThere> {
        let stop = self.stop.clone();
        let public = tokio::select! {
            looked = self.look(watcher) => looked?,
            () = broken_off(&stop) => return Err((NoTarget::Interrupted, Vec::new())),
        };
        let listed = Listed::new(public.versions.clone());
        self.sender.dialect = LoginDialect::of(&listed);
        let spec = self.material.spec_for(&listed);
        let api = self.job.api.unwrap_or_else(|| facts::api(&listed));
        let routes = Arc::new(Paths::new(spec.clone(), api));
        let mut pool =
            AccountPool::new(self.sender.clone(), self.job.sources.clone(), routes.clone());
        let with_session = self.asks_for_session();
        let asking = async {
            if with_session {
                pool.admit_first(by_password(&public)).await;
            }
            let accounts = pool.account_facts();
            let observers = !self.job.policies.raw_verdicts;
            probe::ask_on(
                &self.sender,
                &pool,
                &*routes,
                &public,
                &accounts,
                with_session,
                observers,
            )
            .await
        };
        let authenticated = tokio::select! {
            authenticated = asking => authenticated,
            () = broken_off(&stop) => AuthenticatedProbe::nothing(&public),
        };
        Ok(Probed { public, authenticated, pool, routes, spec })
    }

    /// Plans for the accounts that the server takes: what a plan uses is proven, and planned
    /// without if it is refused.
    pub(super) async fn plan(&self, probed: &mut Probed) -> (Facts, Plan) {
        let Probed { public, authenticated, pool, spec, .. } = probed;
        let mut accounts = pool.account_facts();
        if accounts.given.is_empty() {
            accounts.made_password = pool.has_password(&Slot::Main(0)).await;
        }
        let mut facts = self.facts(public, Some(authenticated), accounts);
        loop {
            let plan = self.planned(spec, &facts);
            if !pool.admit(&plan.given_in_use(&facts.accounts), by_password(public)).await {
                return (facts, plan);
            }
            let made_password = facts.accounts.made_password;
            facts.accounts = AccountFacts { made_password, ..pool.account_facts() };
        }
    }

    /// Everything that running the plan needs.
    pub(super) fn ready(self, probed: Probed, facts: Facts, plan: Plan, times: Times) -> ActiveRun {
        let Probed { mut public, mut authenticated, pool, routes, spec } = probed;
        // What was parsed is of no more use, and many times as large as the text.
        let exchanges = public.exchanges.iter_mut().chain(&mut public.answered);
        exchanges.chain(&mut authenticated.exchanges).for_each(Exchange::forget_parsed);
        let executor = Executor {
            sender: self.sender.clone(),
            pool: Arc::new(pool),
            routes,
            register: self.material.register.clone(),
            operator: Arc::new(self.job.operator.clone()),
            proofs: Arc::default(),
            ends_with: self.job.ends_with(
                public.server.as_deref(),
                times.started,
                &self.material.register,
            ),
            probed: public.answered.into(),
            one_session: Arc::default(),
            observe: self.observe(spec.clone(), facts.listed.clone()),
            facts: Arc::new(facts),
        };
        let mut probed = public.exchanges;
        probed.extend(authenticated.exchanges);
        let server = public.server;
        ActiveRun { prepared: self, spec, plan, executor, probed, server, times }
    }

    fn facts(
        &self,
        public: &PublicProbe,
        authenticated: Option<&AuthenticatedProbe>,
        accounts: AccountFacts,
    ) -> Facts {
        let Job { api, operator, allowed, sources, max_wait, .. } = &self.job;
        let (names, allowed) = (operator.names(), allowed.clone());
        let mut facts =
            probe::facts(public, authenticated, *api, accounts, names, allowed, *max_wait);
        facts.features.extend(sources.registers().then_some(Feature::Registration));
        facts
    }

    fn observe(&self, spec: Arc<Spec>, listed: Listed) -> Observe {
        let (register, stop) = (self.material.register.clone(), self.stop.clone());
        Arc::new(move |owner, exchanges| {
            let context = Context { register: &register, spec: &spec, listed: &listed };
            Tally::of(context, owner, exchanges, &|_| true, &|| stop.is_interrupted())
        })
    }

    fn planned(&self, spec: &Spec, facts: &Facts) -> Plan {
        let selected: Vec<&Arc<Case>> = self.selected.iter().collect();
        plan::plan(&selected, &self.material.register, spec, facts)
    }

    async fn look(&mut self, watcher: &dyn Watcher) -> Result<PublicProbe, NotThere> {
        const EVERY: Duration = Duration::from_millis(250);
        let began = Instant::now();
        let mut told = false;
        loop {
            let (why, exchanges) = match self.look_once().await {
                Ok(public) => return Ok(public),
                Err(seen) => seen,
            };
            if self.stop.is_set() || began.elapsed() + EVERY > self.job.wait_ready {
                let seconds = began.elapsed().as_secs_f64();
                let not_ready = |last| NoTarget::NotReady { seconds, last: Box::new(last) };
                return Err((if told { not_ready(why) } else { why }, exchanges));
            }
            if !told {
                watcher.waiting(&why);
                told = true;
            }
            self.sender.liveness.begin_anew();
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.stop.stopped() => {}
            }
        }
    }

    async fn look_once(&mut self) -> Result<PublicProbe, NotThere> {
        if self.job.discover && self.discovered.is_none() {
            self.discover().await.map_err(|why| (why, Vec::new()))?;
        }
        probe::look(&self.sender, self.job.api).await
    }

    /// From the server name to the homeserver; from here on requests go there.
    async fn discover(&mut self) -> Result<(), NoTarget> {
        let Search { found, exchanges } = discovery::search(&self.job.transport, &self.vault).await;
        self.elsewhere = exchanges;
        let file = self.job.transport.target.url_of(discovery::WELL_KNOWN);
        let found = found.and_then(|url| {
            let transport = Transport { target: Target::Web(url), ..self.job.transport.clone() };
            Ok(HttpClient::new(&transport, self.vault.clone())?)
        });
        self.sender.http = found.map_err(|why| {
            let target = self.job.transport.target.to_string();
            let name = target.trim_start_matches("https://").to_owned();
            NoTarget::NotDiscovered { name, why }
        })?;
        self.discovered = Some(file);
        Ok(())
    }

    /// Returns true if anything selected or required needs an account. Standing checks that are to
    /// show again what they found may have found it on a login or a registration.
    fn asks_for_session(&self) -> bool {
        let Job { selection, policies, .. } = &self.job;
        let standing = selection.rerun.as_ref().is_some_and(|rerun| !rerun.standing.is_empty());
        self.selected.iter().any(|case| plan::asks_for_session(case))
            || !policies.required.is_empty()
            || selection.all_standing
            || standing
    }
}

fn by_password(public: &PublicProbe) -> bool {
    public.offers("m.login.password")
}

async fn broken_off(stop: &Cancellation) {
    stop.interrupted().await;
    tokio::time::sleep(GRACE).await;
}
