//! The seams to the host's own knowledge: its clients, and who may act for whom.

use std::{error::Error, fmt};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    assertion::AssertionKey,
    model::{Client, Credential, CredentialId, Identity, Tenant},
    secret::SecretDigest,
};

/// The host's own lookup could not answer.
#[derive(Debug)]
pub struct LookupError {
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl LookupError {
    /// It could not answer, because of `what`; that must not hold a secret.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, source: None }
    }

    /// The same, with the error beneath it.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Error for LookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Knows the calling applications.
///
/// A registry that gives one client for another's api-key hands it that client's tokens; one that
/// gives assertion keys for an issuer that the client does not own lets it act for a stranger's
/// API client.
#[async_trait]
pub trait ClientRegistry: fmt::Debug + Send + Sync + 'static {
    /// The client with this api-key, looked up by the SHA-256 of the key; `None` where there is
    /// none, or none any more.
    ///
    /// # Errors
    /// [`LookupError`] when the registry cannot answer.
    async fn client(&self, api_key: &SecretDigest) -> Result<Option<Client>, LookupError>;

    /// The keys with which the delegated API client `issuer` signs its assertions (RFC 7523),
    /// provided that `client` owns it; none otherwise.
    ///
    /// # Errors
    /// [`LookupError`] when the registry cannot answer.
    async fn assertion_keys(
        &self,
        client: &Client,
        issuer: &CredentialId,
    ) -> Result<Vec<AssertionKey>, LookupError>;
}

/// Knows on whose behalf a credential may act.
///
/// It is asked before a token is spent, and what it says holds from then on: a host that locks a
/// credential or unlinks an identity also calls
/// [`Engine::revoke_all`](crate::Engine::revoke_all), or tokens issued before live on.
#[async_trait]
pub trait IdentityResolver: fmt::Debug + Send + Sync + 'static {
    /// The identities that are linked to the credential, in an order that stays the same from page
    /// to page.
    ///
    /// # Errors
    /// [`LookupError`] when the resolver cannot answer.
    async fn identities(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        page: Page,
    ) -> Result<Listing, LookupError>;

    /// Whether the credential may act for this identity now. An API client may act for those who
    /// consented.
    ///
    /// # Errors
    /// [`LookupError`] when the resolver cannot answer.
    async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<Resolution, LookupError>;
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many to leave out from the start.
    pub offset: u32,
    /// How many to give at most.
    pub limit: u32,
}

/// A page of identities, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The page.
    Identities {
        /// At most as many as were asked for.
        identities: Vec<Identity>,
        /// How many there are in all.
        count: u64,
    },
    /// The credential is locked.
    Locked {
        /// Until when, where that is known.
        until: Option<OffsetDateTime>,
    },
    /// The credential is disabled.
    Disabled,
}

/// Whether a credential may act for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It may.
    Linked,
    /// It may not, or there is no such identity. Callers cannot tell which.
    NotLinked,
    /// The credential is locked.
    Locked {
        /// Until when, where that is known.
        until: Option<OffsetDateTime>,
    },
    /// Credential or identity is disabled.
    Disabled,
}
