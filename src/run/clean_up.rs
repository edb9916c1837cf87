//! Logging out every session that a run made.
use super::courier::Courier;
use super::ledger::Session;
use crate::case::ast::Limits;
use crate::routes::Routes;
use crate::wire::{Answer, Ask, Exchanged, Reply};

/// What a clean-up came to.
#[derive(Debug, Default)]
pub struct CleanUp {
    /// What was sent and what came back.
    pub exchanges: Vec<Exchanged>,
    /// What could not be removed, in the reader's words.
    pub left: Vec<String>,
}

/// Logs out every session that is still open.
pub async fn clean_up(courier: &Courier, routes: &dyn Routes) -> CleanUp {
    let mut done = CleanUp::default();
    let Some(route) = routes.route("logout", None) else { return done };
    for session in courier.ledger.open() {
        let logout = Ask::new(Some("logout"), &route.method, &route.path);
        if let Some(left) = log_out(courier, &logout, &session, &mut done.exchanges).await {
            done.left.push(left);
        }
    }
    done
}

/// Tries its tokens, the newest first; a token that is refused belongs to a session that is over.
async fn log_out(
    courier: &Courier,
    logout: &Ask,
    session: &Session,
    exchanges: &mut Vec<Exchanged>,
) -> Option<String> {
    let name = format!("session {} of {}", session.device_id, session.user_id);
    let mut left = None;
    for token in session.tokens.iter().rev() {
        let delivered = courier.deliver(&logout.clone().bearer(token), Limits::Wait).await;
        exchanges.extend(delivered.exchanges);
        match delivered.reply {
            Reply::Answer(answer) if answer.status == 200 => return None,
            Reply::Answer(answer) if is_over(&answer) => {}
            Reply::Answer(answer) => {
                left = Some(format!("{name}: logging out was answered with {}", answer.status));
            }
            Reply::Dropped(why) => left = Some(format!("{name}: {why}")),
            Reply::Undecided(reason) => left = Some(format!("{name}: {}", reason.text)),
        }
    }
    left
}

/// Whether a refusal says that the session no longer exists. That a guest may not log out says nothing of the kind.
fn is_over(answer: &Answer) -> bool {
    let for_guests = answer.json().is_ok_and(|body| {
        body.get("errcode").is_some_and(|code| code == "M_GUEST_ACCESS_FORBIDDEN")
    });
    matches!(answer.status, 401 | 403) && !for_guests
}
