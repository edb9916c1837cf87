//! The file with supplied accounts, and files that hold one secret.
use super::confidential;
use crate::accounts::pool::{Credential, SuppliedAccount};
use crate::accounts::provider::look_alike;
use crate::redact::SecretString;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The members of an account.
const KEYS: [&str; 5] = ["user", "password", "password_file", "access_token", "disposable"];
/// Further words that a message may quote: any other may be a piece of a password.
const WORDS: [&str; 4] = ["token", "username", "name", "pass"];

/// Reads `--accounts FILE`; `-` is standard input. A `password_file` is relative to the file.
///
/// # Errors
/// Every fault of the file; its messages name no secret, and the lines of the file are not shown.
pub fn read(path: &Path) -> Result<Vec<SuppliedAccount>, Vec<Diagnostic>> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { shown(path) };
    let text =
        read_text(path).map_err(|why| vec![Diagnostic::in_file(name.clone(), why.to_string())])?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Document::parse(name, text.as_str())
        .and_then(|document| from_document(&document, &folder))
        .map_err(told)
}

/// The faults of a file with accounts, told without its text, and warnings of accounts that stand in it
/// twice.
pub fn check(document: &Document, folder: &Path) -> Vec<Diagnostic> {
    told(match from_document(document, folder) {
        Ok(accounts) => repeated(document, &accounts),
        Err(faults) => faults,
    })
}

/// A warning for each account that looks like an earlier one.
fn repeated(document: &Document, accounts: &[SuppliedAccount]) -> Vec<Diagnostic> {
    let warning = |(first, again): (usize, usize)| {
        let line = document.line(&format!("/{first}"));
        let what = format!("this looks like the same account as in line {line}");
        Diagnostic::at(document, &format!("/{again}"), what)
            .with_help(
                "duplicates are used as one account, in use if either entry says so; remove one of them",
            )
            .into_warning()
    };
    look_alike(accounts).into_iter().map(warning).collect()
}

fn told(faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let words = [&KEYS[..], &WORDS[..]].concat();
    faults.into_iter().map(|fault| confidential::told(fault, &words)).collect()
}

fn from_document(
    document: &Document,
    folder: &Path,
) -> Result<Vec<SuppliedAccount>, Vec<Diagnostic>> {
    let (mut reader, root) = Reader::new(document);
    let mut accounts = Vec::new();
    for node in reader.list(root, "the list of accounts") {
        accounts.extend(account(&mut reader, node, folder));
    }
    reader.finish(accounts)
}

fn account<'d>(reader: &mut Reader<'d>, node: Part<'d>, folder: &Path) -> Option<SuppliedAccount> {
    reader.object(node, "an account", &KEYS)?;
    let user = reader.required(node, "an account", "user")?;
    let given_user = user;
    let user = reader.string(user, "`user`")?.to_owned();
    if user.starts_with('@') != user.contains(':') {
        let help = "a localpart, such as alice, or a full Matrix ID, such as @alice:example.org";
        let what = "`user` is neither a localpart nor a full Matrix ID";
        reader.fault_with_help(given_user, what, help);
        return None;
    }
    let disposable = match node.member("disposable") {
        Some(node) => reader.value(node, "`disposable`")?,
        None => false,
    };
    let ways = ["password", "password_file", "access_token"];
    let given: Vec<_> = ways.iter().filter_map(|key| Some((*key, node.member(key)?))).collect();
    let [(key, value)] = given.as_slice() else {
        let help = "give one of `password`, `password_file`, `access_token`";
        reader.fault_with_help(node, "an account has exactly one credential", help);
        return None;
    };
    let text = reader.string(*value, &format!("`{key}`"))?;
    let secret = match *key {
        // The path is not shown: it may be a password that stands in the wrong place.
        "password_file" => secret_in(&folder.join(text), "the file of `password_file`"),
        key => {
            let fits = confidential::long_enough(&format!("`{key}`"), text);
            fits.map(|()| text.to_owned().into()).map_err(SecretError::from)
        }
    };
    let secret = match secret {
        Ok(secret) => secret,
        Err(why) => {
            reader.fault(*value, why.to_string());
            return None;
        }
    };
    let credential = match *key {
        "access_token" => Credential::AccessToken(secret),
        _ => Credential::Password(secret),
    };
    Some(SuppliedAccount { user, credential, disposable })
}

/// Reason why the secret in a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The sentences say it.
pub enum SecretError {
    #[error("{name}: {why}")]
    Unreadable { name: String, why: Unreadable },
    #[error("{0} is empty")]
    Empty(String),
    #[error(transparent)]
    TooShort(#[from] confidential::TooShort),
}

/// That a file or standard input cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot be read: {0}")]
pub struct Unreadable(#[from] std::io::Error);

/// Reads a file that holds one secret; a line break at its end does not belong to it.
pub fn secret(path: &Path) -> Result<SecretString, SecretError> {
    secret_in(path, &shown(path))
}

fn secret_in(path: &Path, name: &str) -> Result<SecretString, SecretError> {
    let unreadable = |why| SecretError::Unreadable { name: name.to_owned(), why };
    let text = read_text(path).map_err(unreadable)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(SecretError::Empty(name.to_owned()));
    }
    confidential::long_enough(&format!("the secret in {name}"), text)?;
    Ok(text.to_owned().into())
}

/// The text of a file that may hold secrets; `-` is standard input. It is wiped when it is dropped.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
    if path == Path::new("-") {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    confidential::warn_if_others_can_read(path);
    Ok(Zeroizing::new(std::fs::read_to_string(path)?))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
