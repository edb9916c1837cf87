//! Lists the files that are carried inside the program, so that a new one is picked up by itself.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Constant, folder, ending of the files.
const BUNDLES: [(&str, &str, &str); 3] =
    [("SPEC_V1", "spec/v1", "yaml"), ("SPEC_R0", "spec/r0", "yaml"), ("CASES", "cases", "yaml")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::new();
    for (constant, folder, ending) in BUNDLES {
        println!("cargo::rerun-if-changed={folder}");
        writeln!(code, "/// Path below `{folder}` and text of every file there.")?;
        writeln!(code, "pub const {constant}: &[(&str, &str)] = &[")?;
        for path in files(&root.join(folder), "", ending)? {
            let file = format!("/{folder}/{path}");
            writeln!(
                code,
                "({path:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?}))),"
            )?;
        }
        writeln!(code, "];")?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("bundled.rs"), code)?;
    Ok(())
}

/// The files below a folder with `/` between the parts of their paths, sorted; none if there is no
/// such folder.
fn files(folder: &Path, prefix: &str, ending: &str) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    if !folder.is_dir() {
        return Ok(all);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        if path.is_dir() {
            all.extend(files(&path, &format!("{prefix}{name}/"), ending)?);
        } else if path.extension().is_some_and(|e| e == ending) {
            all.push(format!("{prefix}{name}"));
        }
    }
    all.sort();
    Ok(all)
}
