//! The file with supplied accounts, and files that hold one secret.
use crate::diagnostic::Diagnostic;
use crate::run::desk::{Credential, Supplied};
use crate::secret::SecretString;
use crate::source::Document;
use crate::strict::{Node, Reader};
use std::io::Read as _;
use std::path::Path;

/// Reads `--accounts FILE`; `-` is standard input. A `password_file` is relative to the file.
///
/// # Errors
/// Every fault of the file; its messages name no secret, and the lines of the file are not shown.
pub fn read(path: &Path) -> Result<Vec<Supplied>, Vec<Diagnostic>> {
    read_shown(path).map_err(|faults| faults.into_iter().map(without_text).collect())
}

/// The place of a fault in words alone: the text around it may hold a secret.
fn without_text(fault: Diagnostic) -> Diagnostic {
    let place = match &fault.primary {
        Some(label) => {
            let (line, column) =
                (label.source.line(label.span.start), label.source.column(label.span.start));
            format!("{}:{line}:{column}", fault.name)
        }
        None => fault.name,
    };
    Diagnostic { help: fault.help, ..Diagnostic::in_file(place, fault.message) }
}

fn read_shown(path: &Path) -> Result<Vec<Supplied>, Vec<Diagnostic>> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { shown(path) };
    let text = read_text(path).map_err(|why| vec![Diagnostic::in_file(name.clone(), why)])?;
    let document = Document::parse(name, text)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let (mut reader, root) = Reader::new(&document);
    let mut accounts = Vec::new();
    for node in reader.list(&root, "the list of accounts") {
        accounts.extend(account(&mut reader, &node, &folder));
    }
    let faults = reader.faults;
    if faults.is_empty() { Ok(accounts) } else { Err(faults) }
}

fn account(reader: &mut Reader, node: &Node, folder: &Path) -> Option<Supplied> {
    const KEYS: [&str; 5] = ["user", "password", "password_file", "access_token", "disposable"];
    reader.object(node, "an account", &KEYS)?;
    let user = reader.required(node, "an account", "user")?;
    let user = reader.string(&user, "`user`")?.to_owned();
    let disposable = match node.member("disposable") {
        Some(node) => reader.boolean(&node, "`disposable`")?,
        None => false,
    };
    let ways = ["password", "password_file", "access_token"];
    let given: Vec<_> = ways.iter().filter_map(|key| Some((*key, node.member(key)?))).collect();
    let [(key, value)] = given.as_slice() else {
        let help = "give one of `password`, `password_file`, `access_token`";
        reader.fault_with_help(&node.at, "an account proves itself in exactly one way", help);
        return None;
    };
    let text = reader.string(value, &format!("`{key}`"))?;
    let credential = match *key {
        "access_token" => Credential::AccessToken(text.to_owned().into()),
        "password" => Credential::Password(text.to_owned().into()),
        _ => match secret(&folder.join(text)) {
            Ok(password) => Credential::Password(password),
            Err(why) => {
                reader.fault(&value.at, why);
                return None;
            }
        },
    };
    Some(Supplied { user, credential, disposable })
}

/// Reads a file that holds one secret; a line break at its end does not belong to it.
///
/// # Errors
/// Why it cannot be used, in words.
pub fn secret(path: &Path) -> Result<SecretString, String> {
    let text = read_text(path)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("{} is empty", shown(path)));
    }
    Ok(text.to_owned().into())
}

/// The text of a file that may hold secrets; `-` is standard input.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_text(path: &Path) -> Result<String, String> {
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| format!("cannot be read: {error}"));
    }
    warn_if_open(path);
    std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot be read: {error}", shown(path)))
}

/// A file with secrets that others can read deserves a word.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
        if open {
            let name = shown(path);
            let _ = super::say(&format!(
                "warning: {name} holds secrets and others can read it (chmod 600 {name})"
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
