//! Reads on a thread of their own, so that they answer while writes wait for the disk, and never block async threads.

use super::fault::Fault;
use super::schema::{self, For};
use crate::store::api::StoreError;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A question; it answers by itself.
pub(super) type Question = Box<dyn FnOnce(&Slot) + Send>;

/// The readers' connection, opened when needed.
#[derive(Clone)]
pub(super) struct Slot {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

enum State {
    Open(Box<Connection>),
    /// Not open now.
    Idle,
    /// Never again.
    Shut,
}

impl Slot {
    pub fn of(path: PathBuf) -> Self {
        Self { path: Arc::new(path), state: Arc::new(Mutex::new(State::Idle)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads. After a failure the connection is opened anew the next time.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut state = self.lock();
        if matches!(*state, State::Shut) {
            return Err(StoreError::Closed);
        }
        if matches!(*state, State::Idle) {
            *state = State::Open(Box::new(schema::connect(&self.path, For::Reading)?));
        }
        let State::Open(connection) = &*state else { return Err(StoreError::Closed) };
        let answer = read(connection);
        if matches!(&answer, Err(Fault::Database(_))) {
            *state = State::Idle;
        }
        Ok(answer?)
    }

    /// Closes the connection until the next read.
    pub fn close(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Shut) {
            *state = State::Idle;
        }
    }

    /// Closes the connection for good.
    pub fn shut(&self) {
        *self.lock() = State::Shut;
    }
}

/// Answers questions until nobody can ask any more.
pub(super) fn answer(slot: &Slot, questions: &Receiver<Question>) {
    while let Ok(question) = questions.recv() {
        question(slot);
    }
}
