//! The reference homeserver: embedded, in memory, with faults and quirks to switch on.
//!
//! It serves the login surface of the Matrix Client-Server API by the book, for whichever releases it is told to list.
//!
//! Its *faults* break one requirement each; its *quirks* differ in ways that the specification allows. Both change values of
//! its policy, which by default is the specification, or edit its finished answers. They are written from the clauses. This is a
//! package of its own, which cannot use anything of homespec: so the homeserver is no mirror of the checks that are tried on it.
//!
//! It is for tests: passwords are kept as they are, single sign-on believes every name, and nothing survives its end.

mod account;
mod admin;
mod answer;
mod authentication;
mod behaviour;
mod catalogue;
mod changes;
mod client_data;
mod context;
mod device;
mod discovery;
mod edit;
mod fault;
mod front;
mod identity;
mod layer;
mod lifetime;
mod limit;
mod login;
mod login_token;
mod opening;
mod page;
mod password;
mod path;
mod policy;
mod profile;
mod quirk;
mod refusal;
mod refusal_inference;
mod register;
mod release;
mod route;
mod schema_mutation;
mod server;
mod service;
mod session;
mod settings;
mod setup;
mod sso;
mod store;
mod uia;
mod user_name;

pub use catalogue::{Catalogue, Fault, Kind, Need as FaultNeed, Place, Quirk};
pub use fault::{FaultFileError, faults};
pub use front::{Front, front};
pub use limit::{Limit, Refill};
pub use quirk::{limits_logins, quirks};
pub use schema_mutation::{ResponseSchema, SchemaMutation, Violation, schema_mutations};
pub use server::{Running, StartError, start};
pub use settings::{Appservice, Settings, ThirdParty};
