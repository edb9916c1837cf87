//! The public surface of the crate is what `golden/public-api.txt` says. Read from the source, which rustfmt has put into
//! lines, so that no nightly toolchain is needed. `UPDATE_GOLDEN=1 cargo test --test public_api` writes the file anew.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The public modules: the name of each, where it begins, and where the rest of it is.
const MODULES: [(&str, &str, &[&str]); 2] = [
    ("homespec::harness", "src/harness/mod.rs", &["src/harness"]),
    ("homespec::results", "src/model/run.rs", &["src/model"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder and of those below it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) })
        .collect()
}

/// Names that a file has from elsewhere (`pub use PATH::{A, B};`), with the paths.
fn exports(text: &str) -> Vec<(String, String)> {
    let uses = text.split("\npub use ").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(|path| {
        let (path, names) = path.rsplit_once("::").unwrap();
        let names = names.trim_matches(['{', '}']).split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(|name| (path.to_owned(), name.to_owned()))
    })
    .collect()
}

/// The public items of a text whose name is wanted, with their public members, each on one line, without what stands
/// inside functions; and traits that such items have.
fn surface(text: &str, wanted: &dyn Fn(&str) -> bool) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    // What a macro is given at the top of a file stands for itself: `words! { pub enum … }`.
    let mut given = false;
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| {
        given = line.ends_with("! {") && !line.starts_with([' ', 'm']) || given && line != "}";
        if given { line.strip_prefix("    ").unwrap_or_default() } else { line }
    });
    let [mut written, mut marks, mut head, mut member] = [const { String::new() }; 4];
    let mut inside = Inside::Nothing;
    for line in lines {
        let (word, indent) = (line.trim(), line.len() - line.trim_start().len());
        if indent == 0 && word.starts_with("#[") {
            let not_exhaustive = word.contains("non_exhaustive");
            let mark = if not_exhaustive { "#[non_exhaustive]" } else { word };
            let kept = not_exhaustive || word.starts_with("#[derive");
            marks += &if kept { format!("{mark}\n") } else { String::new() };
        } else if indent == 0 && !word.is_empty() {
            let bare = word.trim_end_matches(['{', '}', ';', ' ']);
            let kinds = ["struct ", "enum ", "fn ", "const ", "type ", "trait "];
            let item =
                word.strip_prefix("pub ").filter(|rest| kinds.iter().any(|k| rest.starts_with(k)));
            let of = match item {
                Some(item) => item.split([' ', '<', '(', ':', ';']).nth(1),
                None => bare.strip_prefix("impl").and_then(|rest| rest.rsplit(' ').next()),
            };
            let public = of.is_some_and(|of| wanted(of.split('<').next().unwrap()));
            inside = match (public, item.is_some() || word.contains(" for ")) {
                (true, true) => {
                    written += &format!("{marks}{bare}\n");
                    let members = word.ends_with('{') && item.is_some();
                    let all = word.starts_with("pub enum ");
                    if !members {
                        Inside::Nothing
                    } else if all {
                        Inside::Variants
                    } else {
                        Inside::Members
                    }
                }
                (true, false) => Inside::Members,
                (false, _) => Inside::Nothing,
            };
            head = if public && item.is_none() { format!("{bare}\n") } else { String::new() };
            marks.clear();
            member = String::new();
        } else if inside != Inside::Nothing && !word.starts_with("#[") {
            let begins = indent == 4 && (inside == Inside::Variants || word.starts_with("pub "));
            if begins || !member.is_empty() {
                member = format!("{member} {word}").trim().to_owned();
                let ends: &[char] =
                    if inside == Inside::Variants { &[','] } else { &[',', ';', '{', '='] };
                if indent == 4 && word.ends_with(ends) {
                    let whole = member
                        .split(" = ")
                        .next()
                        .unwrap()
                        .trim_end_matches([',', ';', '{', '=', ' ']);
                    written += &format!("{}    {whole}\n", std::mem::take(&mut head));
                    member.clear();
                }
            }
        }
    }
    written
}

/// Where a line stands.
#[derive(PartialEq)]
enum Inside {
    Nothing,
    /// Of a struct, or what a type can do: those that say `pub`.
    Members,
    Variants,
}

/// What a file makes public, with what it has from other files; those of `folders` are looked through for more of the
/// same items.
fn public(file: &Path, folders: &[&str]) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (mut own, mut written) = (BTreeSet::new(), String::new());
    for (path, name) in exports(&text) {
        match path.strip_prefix("crate::") {
            Some(path) => {
                let at = root().join("src").join(path.replace("::", "/"));
                let at =
                    [at.with_extension("rs"), at.join("mod.rs")].into_iter().find(|p| p.exists());
                let at = at.unwrap();
                let there = fs::read_to_string(&at).unwrap();
                let said = surface(&there, &|item| item == name);
                let others = MODULES.iter().filter(|(_, begins, _)| !file.ends_with(begins));
                let mut folders = others.flat_map(|(_, _, folders)| folders.iter());
                let in_another = |folder: &&str| at.starts_with(root().join(folder));
                let elsewhere = said.is_empty() || folders.any(in_another);
                written +=
                    &if elsewhere { format!("pub use crate::{path}::{name}\n") } else { said };
            }
            None => drop(own.insert(name)),
        }
    }
    written += &surface(&text, &|_| true);
    let defined =
        text.lines().filter_map(|line| line.strip_prefix("pub ")?.split([' ', '<', '(']).nth(1));
    own.extend(defined.map(str::to_owned));
    let beside = folders.iter().flat_map(|folder| files(&root().join(folder)));
    for path in beside.filter(|path| path != file) {
        written += &surface(&fs::read_to_string(path).unwrap(), &|item| own.contains(item));
    }
    written
}

#[test]
fn the_public_surface_changes_only_with_its_file() {
    let mut surface = String::new();
    for (name, file, folders) in MODULES {
        surface += &format!("// {name}\n{}\n", public(&root().join(file), folders));
    }
    let golden = root().join("tests/golden/public-api.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &surface).unwrap();
    }
    let changed = fs::read_to_string(&golden).unwrap() != surface;
    assert!(!changed, "look at it, then run UPDATE_GOLDEN=1 cargo test --test public_api");
}

#[test]
fn the_crate_has_no_other_public_modules() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let public: Vec<&str> = library.lines().filter(|line| line.starts_with("pub ")).collect();
    let expected = [
        "pub use interior::harness;",
        "pub use interior::model::run as results;",
        "pub use interior::cli::main;",
        "pub use interior::*;",
    ];
    assert_eq!(public, expected);
    for hidden in [r#"feature = "cli""#, r#"feature = "internal""#] {
        let hidden = format!("#[cfg({hidden})]\n#[doc(hidden)]\npub use ");
        assert!(library.contains(&hidden), "{hidden}");
    }
}
