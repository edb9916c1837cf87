//! The archive of a release, as `.ci/archive` makes it.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#![cfg(unix)]

use clap::CommandFactory as _;
use homespec::cli::args::Cli;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs a program, which must end well, and gives its standard output.
fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes the archive in `folder` and unpacks it there. The name of the archive, without its ending.
fn unpacked(folder: &Path) -> String {
    // A program that stands for homespec: to compress one with debugging symbols would take long.
    let program = folder.join("homespec");
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_homespec"));
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/archive");
    let made = run(archive.to_str().unwrap(), &["homespec", TARGET, "out"], folder);
    let name = format!("homespec-{}-{TARGET}", env!("CARGO_PKG_VERSION"));
    assert!(made.trim_end().ends_with(&format!("/out/{name}.tar.gz")), "{made}");
    run("tar", &["-xzf", &format!("out/{name}.tar.gz")], folder);
    name
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_release_has_the_program_completions_and_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(unpacked(folder.path()));

    let top = ["CHANGELOG.md", "LICENSE", "README.md", "completions", "docs", "homespec", "man"];
    assert_eq!(names(&root), top.map(str::to_owned).into());
    run("./homespec", &["--version"], &root);

    let mut program = Cli::command();
    program.build();
    let commands: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    let commands = commands.into_iter().filter(|name| *name != "help");
    let pages: BTreeSet<String> = commands
        .map(|name| format!("homespec-{name}.1"))
        .chain(["homespec.1".to_owned()])
        .collect();
    assert_eq!(names(&root.join("man")), pages);
    for page in &pages {
        let text = fs::read_to_string(root.join("man").join(page)).unwrap();
        assert_eq!(text.matches("\n.TH ").count(), 1, "{page}");
        assert!(text.contains("\n.SH SYNOPSIS\n"), "{page}");
    }

    let shells = ["_homespec", "_homespec.ps1", "homespec.bash", "homespec.elv", "homespec.fish"];
    assert_eq!(names(&root.join("completions")), shells.map(str::to_owned).into());
    run("bash", &["-n", "completions/homespec.bash"], &root);
}

#[test]
fn the_checksum_is_that_of_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let name = unpacked(folder.path());
    let line = fs::read_to_string(folder.path().join(format!("out/{name}.tar.gz.sha256"))).unwrap();
    assert!(line.trim_end().ends_with(&format!("  {name}.tar.gz")), "{line}");
    let check = if Path::new("/usr/bin/sha256sum").exists() { "sha256sum" } else { "shasum" };
    run(check, &["-c", &format!("{name}.tar.gz.sha256")], &folder.path().join("out"));
}
