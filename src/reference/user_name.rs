//! Which user names can be registered.

use super::context::RequestContext;
use super::refusal::Refusal;

/// Refuses user names that cannot be registered, by whomever.
pub(super) fn check_free(ctx: &RequestContext, localpart: &str) -> Result<(), Refusal> {
    check_grammar(ctx, localpart)?;
    check_unused(ctx, localpart)
}

/// Refuses user names that users cannot register, but not for a reason that is overlooked.
pub(super) fn check_open(
    ctx: &RequestContext,
    localpart: &str,
    overlooked: impl Fn(Refusal) -> bool,
) -> Result<(), Refusal> {
    for check in [check_grammar, check_exclusive, check_unused] {
        match check(ctx, localpart) {
            Err(refusal) if !overlooked(refusal) => return Err(refusal),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn check_unused(ctx: &RequestContext, localpart: &str) -> Result<(), Refusal> {
    let is_taken =
        ctx.store.accounts.contains_key(localpart) || ctx.store.names.contains_key(localpart);
    if is_taken { Err(Refusal::UserInUse) } else { Ok(()) }
}

/// Refuses the names that an application service claims for itself.
fn check_exclusive(ctx: &RequestContext, localpart: &str) -> Result<(), Refusal> {
    let claimed = ctx.of_service(localpart) && !ctx.policy().service.namespace_open;
    if claimed { Err(Refusal::NameExclusive) } else { Ok(()) }
}

/// Refuses user names outside the grammar of localparts, and such that make the id longer than 255 bytes.
fn check_grammar(ctx: &RequestContext, localpart: &str) -> Result<(), Refusal> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/+".contains(&byte);
    let fits = ctx.server.user_id(localpart).len() <= 255;
    let any = ctx.policy().registration.any_user_name;
    let valid = any || !localpart.is_empty() && fits && localpart.bytes().all(allowed);
    if valid { Ok(()) } else { Err(Refusal::InvalidUsername) }
}
