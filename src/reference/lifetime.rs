//! The end of a session: its device, and the tokens that go with it.

use super::context::{Owner, RequestContext};
use super::policy::{Beside, Part, SessionEnd};
use super::refusal::Refusal;
use super::store::{Access, Refresh};
use std::time::Instant;

/// What of a session outlives it: nothing by the book.
pub(super) struct Outliving {
    part: Option<Part>,
    newest: u32,
}

impl Outliving {
    /// What outlives a session that ends in this way.
    pub(super) fn of(ctx: &RequestContext, user: &str, device: &str, end: SessionEnd) -> Self {
        let outliving = ctx.policy().lifetimes.outliving;
        let part = outliving.filter(|(of, _)| *of == end).map(|(_, part)| part);
        Self { part, newest: ctx.store.newest_generation(user, device) }
    }

    pub(super) fn device(&self) -> bool {
        self.part == Some(Part::Device)
    }

    pub(super) fn access(&self, token: &Access) -> bool {
        match self.part {
            Some(Part::AccessTokens) => true,
            Some(Part::EarlierAccessTokens) => token.generation < self.newest,
            _ => false,
        }
    }

    pub(super) fn refresh(&self, token: &Refresh) -> bool {
        match self.part {
            Some(Part::RefreshTokens) => true,
            Some(Part::EarlierRefreshTokens) => token.uses > 0,
            _ => false,
        }
    }
}

/// Deletes a device with all that belongs to it; its access tokens end at `moment`, or at once.
pub(super) fn end_device(
    ctx: &mut RequestContext,
    user: &str,
    device: &str,
    end: SessionEnd,
    moment: Option<Instant>,
) {
    let outliving = Outliving::of(ctx, user, device, end);
    if !outliving.device() {
        ctx.store.forget_device(user, device);
    }
    ctx.store.end_access_where(Refusal::LoggedOutToken, moment, |session| {
        session.user == user && session.device == device && !outliving.access(session)
    });
    ctx.store.revoke_where(|session| {
        session.user == user && session.device == device && !outliving.refresh(session)
    });
    end_same_ids(ctx, user, device, end);
}

/// Ends the sessions of other users on devices of the same id, which the specification leaves alone.
pub(super) fn end_same_ids(ctx: &mut RequestContext, user: &str, device: &str, end: SessionEnd) {
    if ctx.policy().isolation.same_ids_end_by == Some(end) {
        for other in ctx.store.others_with_device(user, device) {
            ctx.store.drop_device(&other, device, None);
        }
    }
}

/// Ends tokens of the user's other sessions, which the specification leaves alone.
pub(super) fn end_beside(ctx: &mut RequestContext, what: Beside, user: &str, device: &str) {
    match what {
        Beside::Nothing => {}
        Beside::OtherAccessTokens => {
            ctx.store.end_access_where(Refusal::LoggedOutToken, None, |session| {
                session.user == user && session.device != device
            });
        }
        Beside::OtherRefreshTokens => {
            ctx.store.revoke_where(|session| session.user == user && session.device != device);
        }
    }
}

/// Ends the login tokens of a user with a session, where the homeserver does so.
pub(super) fn end_login_tokens(ctx: &mut RequestContext, owner: &Owner) {
    if ctx.policy().lifetimes.login_tokens_end {
        ctx.store.login_tokens.retain(|_, made| made.user != owner.user);
    }
}
