//! The display name in a user's profile: something that suspended accounts are advised not to be allowed to change.

use super::answer::{Answer, Outcome};
use super::context::{RequestContext, required};
use super::refusal::Refusal;
use serde_json::json;

/// `GET /profile/{userId}/displayname`, for everybody.
pub(super) fn display_name(ctx: &mut RequestContext) -> Outcome {
    let user = ctx.server.localpart(ctx.call.parameter(0));
    let account = user.and_then(|user| ctx.store.accounts.get(user));
    let name = account.and_then(|account| account.profile_name.as_ref());
    Ok(Answer::ok(json!({"displayname": name.ok_or(Refusal::ProfileUnknown)?})))
}

/// `PUT /profile/{userId}/displayname`: of the user who asks.
pub(super) fn rename(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    if ctx.call.parameter(0) != ctx.server.user_id(&owner.user) {
        return Err(Refusal::NotThisUser.into());
    }
    let body = ctx.object()?;
    let name = required(&body, "displayname", Refusal::MemberMissing, Refusal::MemberWrongType)?;
    let free = ctx.policy().suspended.changes_profile;
    if let Some(account) = ctx.store.accounts.get_mut(&owner.user) {
        if account.suspended && !free {
            return Err(Refusal::UserSuspended.into());
        }
        account.profile_name = Some(name.to_owned());
    }
    Ok(Answer::empty())
}
