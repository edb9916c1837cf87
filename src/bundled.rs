//! The files that are carried inside the program, as the build script found and read them.
include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
