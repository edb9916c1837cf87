//! YAML with places: documents, strict reading of them, and diagnostics that point into a file.
pub mod diagnostic;
pub mod document;
pub mod reader;
