//! Calls to the seams: each with a deadline, each failure with its owner's name.

use crate::{
    clock::within,
    error::Unavailable,
    host::LookupError,
    keys::{KeyError, KeyErrorKind},
    store::{Change, StoreError},
};

use super::Parts;

/// The parts, and the one way to call them.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) parts: Parts,
}

impl Calls {
    /// Has the store change something. One that does not answer in time may still have done it.
    pub(crate) async fn store<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.in_time(call).await.unwrap_or_else(|| {
            Err(StoreError::new(Change::MayHaveHappened, "no answer within the deadline"))
        })
    }

    /// Asks the store for something that changes nothing, whatever it says when it fails.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.store(call).await.map_err(StoreError::unchanged)
    }

    /// Asks the key provider, before the store is asked.
    pub(crate) async fn keys<T>(
        &self,
        call: impl Future<Output = Result<T, KeyError>> + Send,
    ) -> Result<T, Unavailable> {
        self.key_call(call).await.map_err(Unavailable::Keys)
    }

    /// Asks the signer, or for a key to sign with, after the store call.
    pub(crate) async fn signer<T>(
        &self,
        call: impl Future<Output = Result<T, KeyError>> + Send,
    ) -> Result<T, Unavailable> {
        self.key_call(call).await.map_err(Unavailable::Signer)
    }

    async fn key_call<T>(
        &self,
        call: impl Future<Output = Result<T, KeyError>> + Send,
    ) -> Result<T, KeyError> {
        self.in_time(call)
            .await
            .unwrap_or_else(|| Err(KeyError::new(KeyErrorKind::Unavailable).because(LATE)))
    }

    /// Asks the client registry.
    pub(crate) async fn clients<T>(
        &self,
        call: impl Future<Output = Result<T, LookupError>> + Send,
    ) -> Result<T, Unavailable> {
        self.in_time(call)
            .await
            .unwrap_or_else(|| Err(LookupError::new(LATE)))
            .map_err(Unavailable::Clients)
    }

    /// Asks the identity resolver.
    pub(crate) async fn identities<T>(
        &self,
        call: impl Future<Output = Result<T, LookupError>> + Send,
    ) -> Result<T, Unavailable> {
        self.in_time(call)
            .await
            .unwrap_or_else(|| Err(LookupError::new(LATE)))
            .map_err(Unavailable::Identities)
    }

    pub(super) async fn in_time<T>(&self, call: impl Future<Output = T> + Send) -> Option<T> {
        within(&*self.parts.timer, self.parts.policy.deadline, call).await
    }
}

const LATE: &str = "no answer within the deadline";
