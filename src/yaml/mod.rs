//! YAML with places: documents, strict reading of them, and diagnostics that point into a file.
//!
//! The builder over the parser's events and the `Deserializer` over its parts are ours: `serde_yaml`'s
//! values have no places, its errors quote values (secrets too) and end reading at the first one; with
//! `serde_path_to_error` it would be parsed twice, and paths shift when a wrong item is left out.
pub mod diagnostic;
pub mod document;
pub mod reader;
