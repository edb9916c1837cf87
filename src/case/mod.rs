//! Case files: the language of cases, reading them, matchers, references, all files as a suite.
//!
//! [`ast`] is what a case file may say, [`load`] reads it, `properties` follow from it, [`matcher`] is
//! what an expectation means, and [`template`] carries values from one step to the next.
pub mod ast;
pub mod load;
pub mod matcher;
pub mod near_miss;
mod properties;
pub mod signing;
pub mod suite;
pub mod template;
mod value;
