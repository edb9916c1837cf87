//! Sentences about what the operator gave, collected while a run goes on.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notices for the operator, before the summary: each sentence once, in the order found.
#[derive(Debug, Default)]
pub struct Notices(Mutex<Collected>);

#[derive(Debug, Default)]
struct Collected {
    errors: Vec<String>,
    notes: Vec<String>,
}

impl Notices {
    /// Something given is refused or does not do what it is for.
    pub fn error(&self, text: &str) {
        push_new(&mut self.collected().errors, text);
    }

    /// Something given is usable, and not what it looks like.
    pub fn note(&self, text: &str) {
        push_new(&mut self.collected().notes, text);
    }

    /// Every error so far; secrets in it are not replaced.
    pub fn errors(&self) -> Vec<String> {
        self.collected().errors.clone()
    }

    /// Errors, then notes; secrets in them are not replaced.
    pub fn all(&self) -> Vec<String> {
        let collected = self.collected();
        collected.errors.iter().chain(&collected.notes).cloned().collect()
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        // Each change is one push, so a panic elsewhere leaves the lists whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push_new(sentences: &mut Vec<String>, text: &str) {
    if !sentences.iter().any(|known| known == text) {
        sentences.push(text.to_owned());
    }
}
