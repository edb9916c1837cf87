//! The accounts of a case: which it gets, or why it gets none.
use super::{Assignment, Disposition, Slot};
use crate::case::ast::{Case, Impact, Need, Phase};
use crate::http::supplied_accounts::WRONG_PASSWORDS;
use crate::model::reason::Reason;
use crate::model::run::Verdict;
use crate::plan::facts::{AccountFacts, Allow, Facts, Given};

/// Limited resources, by the index of the account that was given.
pub(super) struct Permits {
    wrong_passwords: Vec<u32>,
    disposable: Vec<usize>,
}

impl Permits {
    pub(super) fn of(accounts: &AccountFacts) -> Permits {
        let permit = |given: &Given| if given.disposable { u32::MAX } else { WRONG_PASSWORDS };
        let disposable = accounts.given.iter().enumerate().filter(|(_, given)| given.disposable);
        Permits {
            wrong_passwords: accounts.given.iter().map(permit).collect(),
            disposable: disposable.map(|(index, _)| index).collect(),
        }
    }
}

pub(super) fn assign(
    case: &Case,
    index: usize,
    facts: &Facts,
    permits: &mut Permits,
) -> Disposition {
    let mut assignment = Assignment::default();
    for need in &case.needs {
        let (name, disposable) = match need {
            Need::Account { name, disposable } => (name, *disposable),
            Need::Session(name) => {
                assignment.sessions.push(name.clone());
                (name, false)
            }
            _ => continue,
        };
        if assignment.accounts.contains_key(name) {
            continue;
        }
        let wanted = Wanted {
            case,
            index,
            name,
            password: needs_password(case, name),
            disposable: disposable
                || matches!(case.impact, Impact::EndsSessions | Impact::Destroys),
            taken: assignment.accounts.values().collect(),
        };
        match slot(&wanted, facts, permits) {
            Ok(slot) => {
                assignment.accounts.insert(name.clone(), slot);
            }
            Err(disposition) => return disposition,
        }
    }
    Disposition::Run(assignment)
}

/// The same accounts with one made in the place of the one of this name, whom a rate limit stops;
/// nothing where none can be made.
pub fn replaced(
    case: &Case,
    assignment: &Assignment,
    name: &str,
    number: u32,
    facts: &Facts,
) -> Option<Assignment> {
    let accounts = &facts.accounts;
    let can_be = accounts.can_make && (accounts.made_password || !needs_password(case, name));
    let mut replaced = assignment.clone();
    let slot = replaced.accounts.get_mut(name).filter(|_| can_be)?;
    *slot = Slot::Replacement(case.id.clone(), name.to_owned(), number);
    Some(replaced)
}

/// The same accounts with another supplied one in the place of the one of this name, each that would
/// do; none for a case that may harm it.
pub fn others(case: &Case, assignment: &Assignment, name: &str, facts: &Facts) -> Vec<Assignment> {
    let accounts = &facts.accounts;
    let is_disposable = |need: &Need| matches!(need, Need::Account { name: needed, disposable: true } if needed == name);
    let is_harmless = matches!(case.impact, Impact::Reads | Impact::Session | Impact::Account);
    if !is_harmless || case.needs.iter().any(is_disposable) {
        return Vec::new();
    }
    let password = needs_password(case, name);
    let fits = |index: &usize| {
        (accounts.has_password(*index) || !password)
            && !assignment.accounts.values().any(|slot| *slot == Slot::Main(*index))
    };
    let with = |index: usize| {
        let mut other = assignment.clone();
        *other.accounts.get_mut(name)? = Slot::Main(index);
        Some(other)
    };
    (0..accounts.given.len()).filter(fits).filter_map(with).collect()
}

/// A wrong password says nothing before a right one has been seen to work.
fn needs_password(case: &Case, name: &str) -> bool {
    uses_password(case, name) || case.impact == Impact::LocksOut
}

struct Wanted<'c> {
    case: &'c Case,
    index: usize,
    name: &'c str,
    password: bool,
    /// True if the account must be disposable.
    disposable: bool,
    taken: Vec<&'c Slot>,
}

impl Wanted<'_> {
    /// Returns true if the n-th account for ordinary use is suitable.
    fn fits(&self, index: usize, accounts: &AccountFacts) -> bool {
        (accounts.has_password(index) || !self.password)
            && !self.taken.contains(&&Slot::Main(index))
    }

    /// Returns true if the case only reads with a session that others use too.
    fn only_reads(&self) -> bool {
        !self.case.needs.iter().any(|need| matches!(need, Need::Account { .. }))
    }
}

fn slot(wanted: &Wanted<'_>, facts: &Facts, permits: &mut Permits) -> Result<Slot, Disposition> {
    let accounts = &facts.accounts;
    if accounts.main() == 0 {
        let reason = accounts.why_refused(|_| true).cloned().unwrap_or(Reason::NoAccount);
        return Err(Disposition::Not(Verdict::Blocked, reason));
    }
    let made = accounts.can_make && (accounts.made_password || !wanted.password);
    if wanted.password && !made && !accounts.given.iter().any(|given| given.password) {
        let text = "this needs a password, and the accounts have only access tokens";
        return Err(not_provided("password", text.to_owned(), accounts, |given| given.password));
    }
    // Others would use the account while it waits.
    if wanted.case.waits() && made {
        return Ok(Slot::Fresh(wanted.index, wanted.name.to_owned()));
    }
    if wanted.disposable {
        return disposable_slot(wanted, facts, permits, made);
    }
    if wanted.case.impact == Impact::LocksOut && wanted.taken.is_empty() {
        return wrongs_slot(wanted, accounts, permits, made);
    }
    let mut fitting: Vec<usize> =
        (0..accounts.main()).filter(|index| wanted.fits(*index, accounts)).collect();
    if wanted.case.phase() > Phase::Destroying {
        // By then the disposable ones may be ruined.
        let needed = |index: &usize| accounts.given.get(*index).is_none_or(|g| !g.disposable);
        let lasting: Vec<usize> = fitting.iter().copied().filter(needed).collect();
        fitting = if lasting.is_empty() { fitting } else { lasting };
    }
    // Cases take turns with the accounts, so that several run at once. Those that only read share
    // the session of one that was given: each further account costs a login to prove it.
    let turn = if wanted.only_reads() && !accounts.given.is_empty() { 0 } else { wanted.index };
    let count = fitting.len();
    fitting.get(turn.checked_rem(count).unwrap_or(0)).map(|index| Slot::Main(*index)).ok_or_else(
        || {
            let text = format!("it needs {} accounts", wanted.taken.len() + 1);
            let would_do = |given: &Given| given.password || !wanted.password;
            not_provided(&format!("account {}", wanted.name), text, accounts, would_do)
        },
    )
}

/// That an account was not given: skipped; or blocked, if one was given that would do and the server
/// refused it.
fn not_provided(
    kind: &str,
    why: String,
    accounts: &AccountFacts,
    would_do: impl Fn(&Given) -> bool,
) -> Disposition {
    match accounts.why_refused(would_do) {
        Some(reason) => Disposition::Not(Verdict::Blocked, reason.clone()),
        None => {
            let reason = Reason::AccountNotProvided { kind: kind.to_owned(), why };
            Disposition::Not(Verdict::Skipped, reason)
        }
    }
}

/// An account that the case may harm: one made for it, else one that nobody needs, else, where that
/// is allowed, one that somebody needs; but nothing ruins the last.
fn disposable_slot(
    wanted: &Wanted<'_>,
    facts: &Facts,
    permits: &mut Permits,
    made: bool,
) -> Result<Slot, Disposition> {
    let accounts = &facts.accounts;
    if made {
        return Ok(Slot::Fresh(wanted.index, wanted.name.to_owned()));
    }
    let ruins = wanted.case.impact == Impact::Destroys;
    let given = permits.disposable.iter().rposition(|index| wanted.fits(*index, accounts));
    if let Some(at) = given
        && let Some(index) = permits.disposable.get(at).copied()
    {
        if ruins {
            permits.disposable.remove(at);
        }
        return Ok(Slot::Main(index));
    }
    let allowed = facts.allowed.contains(&Allow::Destructive) && !ruins;
    let fitting = (0..accounts.main()).find(|index| wanted.fits(*index, accounts));
    fitting.filter(|_| allowed).map(Slot::Main).ok_or_else(|| {
        let text =
            "it could harm the account: it needs a disposable one, or a way to create accounts";
        let would_do = |given: &Given| given.disposable && (given.password || !wanted.password);
        not_provided("disposable account", text.to_owned(), accounts, would_do)
    })
}

/// An account to try wrong passwords on: one made for that, else the first that was given and may
/// still see so many.
fn wrongs_slot(
    wanted: &Wanted<'_>,
    accounts: &AccountFacts,
    permits: &mut Permits,
    made: bool,
) -> Result<Slot, Disposition> {
    if made {
        return Ok(Slot::WrongPassword);
    }
    let permitted = permits.wrong_passwords.iter_mut().enumerate().find(|(index, left)| {
        wanted.fits(*index, accounts) && **left >= wanted.case.wrong_passwords
    });
    let Some((index, left)) = permitted else {
        let text = "no more wrong passwords are tried on an account in use";
        return Err(not_provided("disposable account", text.to_owned(), accounts, |given| {
            given.password
        }));
    };
    *left -= wanted.case.wrong_passwords;
    Ok(Slot::Main(index))
}

fn uses_password(case: &Case, account: &str) -> bool {
    let (prefix, login) = (format!("{account}.password"), format!("{account}.login"));
    let named = |name: &String| name.starts_with(&prefix) || *name == login;
    let by_values = case.values.iter().any(|(_, value)| {
        crate::case::template::references(value).iter().any(|(name, _)| named(name))
    });
    by_values
        || case.all_steps().any(|step| {
            step.uia.as_deref() == Some(account) || step.request_references().iter().any(named)
        })
}
