//! The formats that Matrix adds to those of JSON Schema, and how schemas are compiled.
use jsonschema::{Draft, ValidationOptions};
use std::net::Ipv6Addr;

/// Compiles all schemas of a specification the same way: without any lookup elsewhere, formats
/// asserted.
pub(super) fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_format("mx-user-id", is_user_id)
        .with_format("mx-server-name", is_server_name)
}

/// A user id as servers must accept it, the historical ones included (appendices, "User
/// Identifiers"): any local part without colon and NUL, 255 bytes at most in all.
fn is_user_id(text: &str) -> bool {
    let parts = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    text.len() <= 255
        && parts.is_some_and(|(local, server)| !local.contains('\0') && is_server_name(server))
}

/// A server name (appendices, "Server Name"): an IPv4 address, an IPv6 address in brackets or a
/// host name, and maybe a port.
fn is_server_name(text: &str) -> bool {
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let is_address = address.parse::<Ipv6Addr>().is_ok();
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_host = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
    (1..=255).contains(&host.len()) && host.bytes().all(is_host) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_accepted_as_servers_must() {
        for good in [
            "@alice:example.org",
            "@a.b_c=d-e/f+g:[::1]:8448",
            "@Alice !é:1.2.3.4",
            "@:hs",
            "@a:localhost:8008",
        ] {
            assert!(is_user_id(good), "{good}");
        }
        let long = format!("@{}:hs", "a".repeat(252));
        for bad in [
            "alice",
            "@alice",
            "alice:hs",
            "@a:",
            "@a:h_s",
            "@a:hs:",
            "@a:hs:123456",
            "@a:[::1",
            "@a\0:hs",
            &long,
        ] {
            assert!(!is_user_id(bad), "{bad}");
        }
    }
}
