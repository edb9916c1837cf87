//! Lists the files that are carried inside the program, so that a new one is picked up by itself, and puts the
//! events of the YAML parser beside each: the program does not scan them again at every start.
//! `yaml/document/events.rs` reads what [`compact`] writes.
use granit_parser::{Event, Options, Parser, ScalarStyle};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Constant, folder, ending of the files.
const BUNDLES: [(&str, &str, &str); 3] =
    [("SPEC_V1", "spec/v1", "yaml"), ("SPEC_R0", "spec/r0", "yaml"), ("CASES", "cases", "yaml")];
/// Constant and path of a single file.
const REGISTER: (&str, &str) = ("REGISTER", "spec/requirements.yaml");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let (mut texts, mut events, mut code) = (String::new(), String::new(), String::new());
    let mut include = |path: &str| -> Result<String, Box<dyn std::error::Error>> {
        let (file, name) = (root.join(path), path.replace(['/', '.', '-'], "_").to_uppercase());
        writeln!(texts, "const {name}: &str = include_str!({file:?});")?;
        // A file that is not as it should be is read, and its faults told, when the program starts.
        if let Some(bytes) = compact(&fs::read_to_string(&file)?) {
            let compact = out.join(format!("{name}.events"));
            fs::write(&compact, bytes)?;
            writeln!(events, "({name}, include_bytes!({compact:?})),")?;
        }
        Ok(name)
    };
    for (constant, folder, ending) in BUNDLES {
        println!("cargo::rerun-if-changed={folder}");
        writeln!(code, "/// Path below `{folder}` and text of every file there.")?;
        writeln!(code, "pub const {constant}: &[(&str, &str)] = &[")?;
        for path in files(&root.join(folder), "", ending)? {
            writeln!(code, "({path:?}, {}),", include(&format!("{folder}/{path}"))?)?;
        }
        writeln!(code, "];")?;
    }
    let (constant, path) = REGISTER;
    println!("cargo::rerun-if-changed={path}");
    writeln!(code, "/// Text of `{path}`.\npub const {constant}: &str = {};", include(path)?)?;
    writeln!(code, "/// Each of these texts with the events of the YAML parser.")?;
    writeln!(code, "pub const EVENTS: &[(&str, &[u8])] = &[{events}];\n{texts}")?;
    fs::write(out.join("bundled.rs"), code)?;
    Ok(())
}

/// The events of a text, each as its kind, the distance of its start from that of the one before, its length and, of a
/// scalar that is not as written, its text. The number of all comes first. None if there is an anchor, a tag or something that is not YAML.
fn compact(text: &str) -> Option<Vec<u8>> {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.set_emit_comments(false);
    let (mut bytes, mut last, mut count) = (Vec::new(), 0, 0);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let place = span.byte_range().unwrap_or(0..0);
        let (kind, own) = match &event {
            Event::Scalar(scalar, style, 0, None) => {
                let is_plain = *style == ScalarStyle::Plain;
                let inside = if is_plain { Some(place.clone()) } else { quoted(&place) };
                match inside.and_then(|range| text.get(range)) == Some(scalar.as_ref()) {
                    true => (if is_plain { b'p' } else { b'q' }, None),
                    false => (if is_plain { b'P' } else { b'Q' }, Some(scalar)),
                }
            }
            Event::SequenceStart(_, 0, None) => (b'[', None),
            Event::MappingStart(_, 0, None) => (b'{', None),
            Event::SequenceEnd | Event::MappingEnd => (b'}', None),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(false, None) => continue,
            _ => return None,
        };
        bytes.push(kind);
        number(&mut bytes, place.start.checked_sub(last)?);
        number(&mut bytes, place.len());
        if let Some(own) = own {
            number(&mut bytes, own.len());
            bytes.extend(own.bytes());
        }
        last = place.start;
        count += 1;
    }
    let mut all = Vec::new();
    number(&mut all, count);
    all.extend(bytes);
    Some(all)
}

/// What is between the quotation marks.
fn quoted(place: &std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
    Some(place.start + 1..place.end.checked_sub(1)?)
}

/// Writes a number as LEB128.
fn number(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
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
