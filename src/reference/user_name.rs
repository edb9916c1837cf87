//! Which user names can be registered.

use super::context::RequestContext;
use super::refusal::Refusal;

/// Refuses user names that cannot be registered.
pub(super) fn check_free(ctx: &RequestContext, localpart: &str) -> Result<(), Refusal> {
    check_grammar(ctx, localpart)?;
    if ctx.of_service(localpart) && !ctx.is_service() {
        return Err(Refusal::NameOfService);
    }
    if ctx.store.accounts.contains_key(localpart) { Err(Refusal::UserInUse) } else { Ok(()) }
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
