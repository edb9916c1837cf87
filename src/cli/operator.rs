//! `operator:` in a config file: what only an operator knows or can do.
use super::accounts::SecretError;
use crate::accounts::command::ExternalCommand;
use crate::accounts::operator::{Appservice, Email, Operator, Owner, Phone};
use crate::case::ast::Act;
use crate::redact::SecretString;
use crate::yaml::document;
use crate::yaml::reader::Reader;
use std::path::Path;
use strum::VariantArray as _;

/// Reader of a file with a secret, by its path.
pub(super) type ReadSecret<'a> = &'a dyn Fn(&Path) -> Result<SecretString, SecretError>;

/// Reads the mapping; faults go to the reader. Paths are relative to `folder`, programs are started
/// in the working directory.
pub(super) fn read<'d>(
    reader: &mut Reader<'d>,
    node: document::Part<'d>,
    folder: &Path,
    read_secret: ReadSecret<'_>,
) -> Operator {
    const KEYS: [&str; 6] =
        ["appservice", "email", "phone", "admin_token", "admin_token_file", "hooks"];
    let mut part = OperatorReader { reader, folder, read_secret };
    if part.reader.object(node, "`operator`", &KEYS).is_none() {
        return Operator::default();
    }
    let hooks = node.member("hooks").map(|node| part.hooks(node)).unwrap_or_default();
    let asks_for_admin =
        ["admin_token", "admin_token_file"].iter().any(|k| node.member(k).is_some());
    Operator {
        appservice: node.member("appservice").and_then(|node| part.appservice(node)),
        email: node.member("email").and_then(|node| part.email(node)),
        phone: node.member("phone").and_then(|node| part.phone(node)),
        registration_token: None,
        admin_token: asks_for_admin.then(|| part.secret(node, "admin_token")).flatten(),
        hooks,
    }
}

struct OperatorReader<'a, 'd> {
    reader: &'a mut Reader<'d>,
    folder: &'a Path,
    read_secret: ReadSecret<'a>,
}

impl<'d> OperatorReader<'_, 'd> {
    fn appservice(&mut self, node: document::Part<'d>) -> Option<Appservice> {
        let keys = ["token", "token_file", "prefix", "sender"];
        self.reader.object(node, "`appservice`", &keys)?;
        let token = self.secret(node, "token");
        let (prefix, sender) = (self.prefix(node), self.user_id(node, "sender"));
        Some(Appservice { token: token?, prefix: prefix?, sender: sender? })
    }

    fn email(&mut self, node: document::Part<'d>) -> Option<Email> {
        let keys = ["address", "user", "password", "password_file"];
        self.reader.object(node, "`email`", &keys)?;
        let (address, owner) = (self.text(node, "address"), self.owner(node));
        Some(Email { address: address?, owner: owner? })
    }

    fn phone(&mut self, node: document::Part<'d>) -> Option<Phone> {
        let keys = ["address", "country", "number", "user", "password", "password_file"];
        self.reader.object(node, "`phone`", &keys)?;
        let owner = self.owner(node);
        let [address, country, number] =
            ["address", "country", "number"].map(|key| self.text(node, key));
        let phone = Phone { address: address?, country: country?, number: number?, owner: owner? };
        self.is_one_number(node, &phone).then_some(phone)
    }

    /// Returns true if the three spellings of a phone number can be one number.
    fn is_one_number(&mut self, node: document::Part<'d>, phone: &Phone) -> bool {
        let mut faulty = |key: &str, what: &str| {
            self.reader.fault(node.nearest(key), what);
            false
        };
        let digits: String = phone.number.chars().filter(char::is_ascii_digit).collect();
        if phone.address.is_empty() || !phone.address.bytes().all(|byte| byte.is_ascii_digit()) {
            return faulty("address", "`address` must be digits only, with the country code first");
        }
        if phone.country.len() != 2 || !phone.country.bytes().all(|b| b.is_ascii_uppercase()) {
            return faulty("country", "`country` is two capital letters, such as GB");
        }
        // In front stands what is dialled within the country, which differs from the country code.
        let ending = digits.get(digits.len().saturating_sub(6)..).unwrap_or_default();
        if ending.is_empty() || !phone.address.ends_with(ending) {
            return faulty("number", "`number` does not end as `address` does");
        }
        true
    }

    /// The beginning of localparts (Matrix specification, "User Identifiers").
    fn prefix(&mut self, node: document::Part<'d>) -> Option<String> {
        let prefix = self.text(node, "prefix")?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
        if !prefix.is_empty() && prefix.chars().all(fits) {
            return Some(prefix);
        }
        let what = "`prefix` must be the beginning of localparts, such as bridge_, not a pattern";
        self.reader.fault(node.nearest("prefix"), what);
        None
    }

    fn owner(&mut self, node: document::Part<'d>) -> Option<Owner> {
        let (user_id, password) = (self.user_id(node, "user"), self.secret(node, "password"));
        Some(Owner { user_id: user_id?, password: password? })
    }

    fn hooks(
        &mut self,
        node: document::Part<'d>,
    ) -> std::collections::BTreeMap<Act, ExternalCommand> {
        let words: Vec<&str> = Act::VARIANTS.iter().map(|act| act.as_str()).collect();
        let known = self.reader.object(node, "`hooks`", &words).is_some();
        let hooks = Act::VARIANTS.iter().filter(|_| known).filter_map(|act| {
            let word = act.as_str();
            let node = node.member(word)?;
            let line = self.reader.string(node, &format!("`{word}`"))?;
            let program = ExternalCommand::parse(line);
            program.map_err(|why| self.reader.fault(node, why.to_string())).ok().map(|p| (*act, p))
        });
        hooks.collect()
    }

    fn user_id(&mut self, node: document::Part<'d>, key: &str) -> Option<String> {
        let id = self.text(node, key)?;
        if id.starts_with('@') && id.contains(':') {
            return Some(id);
        }
        self.reader.fault(node.nearest(key), format!("`{key}` must be a full Matrix ID"));
        None
    }

    fn text(&mut self, node: document::Part<'d>, key: &str) -> Option<String> {
        let member = self.reader.required(node, "this", key)?;
        self.reader.string(member, &format!("`{key}`")).map(str::to_owned)
    }

    /// A secret by value (`key`) or by file (`key_file`): exactly one of them.
    fn secret(&mut self, node: document::Part<'d>, key: &str) -> Option<SecretString> {
        let in_file = format!("{key}_file");
        match (node.member(key), node.member(&in_file)) {
            (Some(value), None) => {
                self.reader.string(value, &format!("`{key}`")).map(|text| text.to_owned().into())
            }
            (None, Some(file)) => {
                let path = self.reader.string(file, &format!("`{in_file}`"))?;
                let read = (self.read_secret)(&self.folder.join(path));
                read.map_err(|why| self.reader.fault(file, why.to_string())).ok()
            }
            _ => {
                let help = format!("`{key}`, or `{in_file}` with the file that holds it");
                self.reader.fault_with_help(node, format!("one `{key}` is needed"), help);
                None
            }
        }
    }
}
