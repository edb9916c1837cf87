//! The case language: what a case file may say ([`ast`]), how it is read ([`load`]), what an
//! expectation means ([`matcher`]) and how values are carried from one step to the next
//! ([`template`]).
pub mod ast;
pub mod load;
pub mod matcher;
pub mod suite;
pub mod template;
