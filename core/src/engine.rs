//! The engine: the host's one way in.

use std::{collections::HashMap, fmt, num::NonZeroU32, sync::Arc, time::Duration};

use time::OffsetDateTime;

use crate::{
    audit::{AuditSink, Operation, Trail},
    clock::{Clock, Timer},
    error::{Error, StartError, Unauthenticated},
    exchange::{Exchange, Exchanged},
    grant::Revoke,
    host::{ClientRegistry, IdentityResolver, Page},
    id::{Epoch, GrantId},
    instant::Lifetime,
    keys::{KeyProvider, KeySet},
    live::{Introspection, Live, LiveBearer, LiveLogin},
    model::{Audience, Client, Credential, HostClaims, Identity, Issuer, Scope, Status, Tenant},
    one_time::OneTimeToken,
    policy::Policy,
    secret::SecretText,
    store::TokenStore,
    verifier::Requirement,
};

mod bearer;
mod calls;
mod core;
mod ending;
mod issuing;
mod pulse;

pub(crate) use self::core::Core;

/// What an engine is made of. Forget a part and it does not compile.
#[derive(Debug)]
pub struct Parts {
    /// Keeps the records.
    pub store: Arc<dyn TokenStore>,
    /// Holds the signing keys.
    pub keys: Arc<dyn KeyProvider>,
    /// Knows who may act for whom.
    pub identities: Arc<dyn IdentityResolver>,
    /// Knows the calling applications.
    pub clients: Arc<dyn ClientRegistry>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Waits, for deadlines.
    pub timer: Arc<dyn Timer>,
    /// Takes note of every decision.
    pub audit: Arc<dyn AuditSink>,
    /// Lifetimes, windows, demands.
    pub policy: Policy,
    /// Issuer and audience of each tenant.
    pub tenants: HashMap<Tenant, Realm>,
}

/// In whose name a tenant's tokens are signed, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The `iss` of its tokens, and the `aud` that its client assertions must have (RFC 7523 §3).
    pub issuer: Issuer,
    /// The `aud` of its tokens.
    pub audience: Audience,
}

/// A person whom the host has authenticated, about to get an auth token.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Who they are.
    pub credential: Credential,
    /// How strongly the host authenticated them.
    pub status: Status,
    /// The widest scope that tokens under this login can have.
    pub scope: Option<Scope>,
    /// The host's own claims, carried into every token under this login.
    pub claims: Option<HostClaims>,
}

impl LogIn {
    /// A login without scope and claims.
    #[must_use]
    pub fn new(credential: Credential, status: Status) -> Self {
        Self { credential, status, scope: None, claims: None }
    }
}

/// What a login earns.
#[derive(Debug)]
pub struct LoggedIn {
    /// The auth token: good for listing identities and for exchanges, nothing else.
    pub token: SecretText,
    /// Its status.
    pub status: Status,
    /// Its grant, the login.
    pub grant: GrantId,
    /// Its absolute limit.
    pub expires_at: OffsetDateTime,
}

/// A one-time token that is to be issued: the host vouches that its bearer is this credential.
#[derive(Debug, Clone)]
pub struct IssueOneTime {
    /// Who its bearer is.
    pub credential: Credential,
    /// The identity that it is for, resolved now. `None`: any identity of the credential, resolved
    /// when it is exchanged.
    pub identity: Option<Identity>,
    /// How strongly they were authenticated. `STEPPED_UP` is the host's word that they passed a
    /// step-up challenge.
    pub status: Status,
    /// How long it can be spent; `None`: as the policy says.
    pub lifetime: Option<Lifetime>,
    /// The widest scope of the token that it buys; in a step-up, where the Bearer has none.
    pub scope: Option<Scope>,
    /// The host's own claims, carried into that token; in a step-up, where the Bearer has none.
    pub claims: Option<HostClaims>,
}

impl IssueOneTime {
    /// A token for one identity, as long as the policy says, without scope and claims.
    #[must_use]
    pub fn new(credential: Credential, identity: Identity, status: Status) -> Self {
        let identity = Some(identity);
        Self { credential, identity, status, lifetime: None, scope: None, claims: None }
    }
}

/// A one-time token that was issued.
#[derive(Debug)]
pub struct IssuedOneTime {
    /// The token: hand its text to the one who is to spend it.
    pub token: OneTimeToken,
    /// When it can no longer be spent.
    pub expires_at: OffsetDateTime,
}

/// Mints, exchanges, steps up, verifies and revokes tokens. Cheap to clone; spawns nothing.
///
/// Every operation may be cancelled by dropping its future: the grant is then untouched or wholly
/// changed, and repeating the same attempt gets the token.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
}

impl Engine {
    /// Checks the policy, reads the store's epoch and guarantee, and starts.
    ///
    /// # Errors
    /// [`StartError`] when the policy contradicts itself, the store promises less than the policy
    /// demands, or the store cannot be asked.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        parts.policy.check().map_err(StartError::Policy)?;
        if parts.tenants.is_empty() {
            return Err(StartError::NoTenant);
        }
        let core = Core::new(parts);
        core.learn_guarantee().await?;
        core.pulse.context(&core.calls).await?;
        Ok(Self { core: Arc::new(core) })
    }

    /// The client with this api-key. Only a failure is an event: what the client does next tells
    /// the rest.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is none.
    pub async fn client(&self, api_key: &SecretText) -> Result<Client, Error> {
        let calls = &self.core.calls;
        let digest = api_key.digest();
        let error = match calls.clients(calls.parts.clients.client(&digest)).await {
            Ok(Some(client)) => return Ok(client),
            Ok(None) => Unauthenticated::UnknownApiKey.into(),
            Err(error) => error.into(),
        };
        Trail::new(&calls.parts, Operation::IdentifyClient, None, None).end(Err(error))
    }

    /// Mints an auth token for a person whom the host has authenticated: ∅ → Active.
    ///
    /// The engine takes the host's word for credential and status.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a part cannot answer. No token is out then; the login that may
    /// have been recorded is of no use to anybody.
    pub async fn log_in(&self, client: &Client, login: LogIn) -> Result<LoggedIn, Error> {
        let mut trail = self.core.trail(Operation::LogIn, client);
        let result = self.core.log_in(client, login, &mut trail).await;
        trail.end(result)
    }

    /// Issues a one-time token: ∅ → Issued.
    ///
    /// # Errors
    /// [`Error::Denied`] when the credential is not linked to the identity, [`Error::Locked`] when
    /// it is locked, [`Error::Unavailable`] when a part cannot answer.
    pub async fn issue_one_time(
        &self,
        client: &Client,
        token: IssueOneTime,
    ) -> Result<IssuedOneTime, Error> {
        let mut trail = self.core.trail(Operation::IssueOneTime, client);
        let result = self.core.issue_one_time(client, token, &mut trail).await;
        trail.end(result)
    }

    /// Exchanges exactly one authority for an access token: see [`Exchange`].
    ///
    /// # Errors
    /// Every variant of [`Error`] but [`StepUpRequired`](Error::StepUpRequired). Where it is
    /// [`Error::Unavailable`] and the change may have happened, the same attempt (the same request
    /// under the same idempotency reference) gets the token within the policy's retry window.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, Error> {
        let client = exchange.client.clone();
        let mut trail = self.core.trail(Operation::Exchange, &client);
        let result = self.core.exchange(exchange, &mut trail).await;
        trail.end(result)
    }

    /// Raises a token to `STEPPED_UP` in place: Active → Active(`STEPPED_UP`). The host vouches
    /// that its bearer has just passed a step-up challenge. Takes an access token or an auth token;
    /// what is opened under a login from then on is `STEPPED_UP` too.
    ///
    /// The token's text stays the same, so only the live check sees it.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is not live, [`Error::Unavailable`].
    pub async fn elevate(&self, client: &Client, bearer: &SecretText) -> Result<(), Error> {
        let mut trail = self.core.trail(Operation::Elevate, client);
        let result = self.core.elevate(client, bearer, &mut trail).await;
        trail.end(result)
    }

    /// Is this a live access token of this client, and strong enough? Signature and claims, then
    /// the live grant: not revoked, not idle, its status now. Using it slides its idle deadline.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is not; [`Error::StepUpRequired`] when `S` is
    /// [`SteppedUp`](crate::SteppedUp) and it is not; [`Error::Unavailable`].
    pub async fn authenticate<S: Requirement>(
        &self,
        client: &Client,
        bearer: &SecretText,
    ) -> Result<Live<S>, Error> {
        let mut trail = self.core.trail(Operation::Authenticate, client);
        let result = self.core.authenticate(client, bearer, &mut trail).await;
        trail.end(result)
    }

    /// Is this a live auth token of this client? Using it slides its idle deadline.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is not, [`Error::Unavailable`].
    pub async fn authenticate_login(
        &self,
        client: &Client,
        bearer: &SecretText,
    ) -> Result<LiveLogin, Error> {
        let mut trail = self.core.trail(Operation::Authenticate, client);
        let result = self.core.authenticate_login(client, bearer, &mut trail).await;
        trail.end(result)
    }

    /// Is this a live auth token or access token of this client? For what either may do, such as
    /// asking for a step-up challenge. Using it slides its idle deadline.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is not, [`Error::Unavailable`].
    pub async fn authenticate_any(
        &self,
        client: &Client,
        bearer: &SecretText,
    ) -> Result<LiveBearer, Error> {
        let mut trail = self.core.trail(Operation::Authenticate, client);
        let result = self.core.authenticate_any(client, bearer, &mut trail).await;
        trail.end(result)
    }

    /// What an auth token, access token or unspent one-time token of this client says (RFC 7662
    /// §2.2); `None` when it is not active, for whatever reason. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn introspect(
        &self,
        client: &Client,
        token: &SecretText,
    ) -> Result<Option<Introspection>, Error> {
        let mut trail = self.core.trail(Operation::Introspect, client);
        let result = self.core.introspect(client, token, &mut trail).await;
        trail.end(result)
    }

    /// The identities that the credential behind this auth token may act for.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is no live auth token, [`Error::Locked`],
    /// [`Error::Denied`] when the credential is disabled, [`Error::Unavailable`].
    pub async fn identities(
        &self,
        client: &Client,
        bearer: &SecretText,
        page: Page,
    ) -> Result<IdentityPage, Error> {
        let mut trail = self.core.trail(Operation::ListIdentities, client);
        let result = self.core.identities(client, bearer, page, &mut trail).await;
        trail.end(result)
    }

    /// Ends the login behind an auth or access token, and so everything that came from it; an
    /// access token without a login ends alone. One that has merely idled out can still do this.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is not good, [`Error::Unavailable`].
    pub async fn log_out(&self, client: &Client, bearer: &SecretText) -> Result<(), Error> {
        let mut trail = self.core.trail(Operation::LogOut, client);
        let result = self.core.log_out(client, bearer, &mut trail).await;
        trail.end(result)
    }

    /// Ends the grant of an auth, access or one-time token of this client (RFC 7009 §2). A token
    /// that is unknown or has ended is no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke(&self, client: &Client, token: &SecretText) -> Result<(), Error> {
        let mut trail = self.core.trail(Operation::Revoke, client);
        let result = self.core.revoke(client, token, &mut trail).await;
        trail.end(result)
    }

    /// Ends one grant by its id: for the host itself. Ending a login ends whatever came from it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_grant(&self, tenant: &Tenant, grant: GrantId) -> Result<(), Error> {
        let mut trail = self.core.host_trail(Operation::Revoke, Some(tenant));
        trail.grant = Some(grant);
        let revoke = Revoke { id: grant, tenant: tenant.clone(), client: None, secret: None };
        let result = self.core.revoke_by(&revoke).await.map(|_| ());
        trail.end(result)
    }

    /// Ends every grant of a credential, those being issued at this moment included: what was judged
    /// before it is not issued after it. (A credential without any record has nothing to end, and
    /// a first issue that is under way then is not seen.) Or, with `up_to`, those issued at or
    /// before an earlier instant. To be called whenever a credential is
    /// locked or an identity unlinked.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        up_to: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let mut trail = self.core.host_trail(Operation::RevokeAll, Some(tenant));
        trail.credential = Some(credential.clone());
        let result = self.core.revoke_all(tenant, credential, up_to).await;
        trail.end(result)
    }

    /// Refuses every record issued before now: to be called after the store was restored from a
    /// backup, or failed over and lost writes. Every other engine on the store follows within
    /// about a second, and within 5 s or answers "unavailable".
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn raise_epoch(&self) -> Result<Epoch, Error> {
        let trail = self.core.host_trail(Operation::RaiseEpoch, None);
        let result = self.core.raise_epoch().await;
        trail.end(result)
    }

    /// The public keys: what a JWKS endpoint serves (RFC 7517 §5).
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn verifying_keys(&self) -> Result<Arc<KeySet>, Error> {
        Ok(self.core.verifying_keys(self.core.now()).await?)
    }

    /// Whether the store answers and still promises what the policy demands, its epoch is fresh
    /// enough, and there is a key to sign with: for a health check. Resolver and registry are the
    /// host's own, and are not asked.
    ///
    /// # Errors
    /// [`StartError`], as [`start`](Self::start) does.
    pub async fn ready(&self) -> Result<(), StartError> {
        let core = &self.core;
        core.learn_guarantee().await?;
        let cx = core.pulse.context(&core.calls).await?;
        core.calls.keys(core.calls.parts.keys.signing_key(None, cx.now)).await?;
        Ok(())
    }

    /// Drops at most `limit` records that are dead for good; says how many. Safe from many nodes
    /// at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn purge(&self, limit: NonZeroU32) -> Result<u32, Error> {
        let calls = &self.core.calls;
        // A node whose clock runs ahead must not drop what another still lives by.
        let now = self.core.tick()?.before(calls.parts.policy.max_skew);
        Ok(calls.store(calls.parts.store.purge(limit, now)).await?)
    }

    /// Purges the store, asks it again what it promises, and brings the keys up to their schedule,
    /// every `every`, for as long as it is polled; spawn it if nothing else does these. What fails is logged and tried again.
    pub async fn housekeeping(&self, every: Lifetime) {
        const SLICE: NonZeroU32 = NonZeroU32::new(1000).unwrap();
        let calls = &self.core.calls;
        loop {
            calls.parts.timer.sleep(every.into()).await;
            if let Err(error) = calls.keys(calls.parts.keys.rotate(self.core.now())).await {
                tracing::error!(target: "mintage", %error, "the keys were not rotated");
            }
            if let Err(error) = self.core.learn_guarantee().await {
                tracing::error!(target: "mintage", %error, "the store promises too little");
            }
            loop {
                match self.purge(SLICE).await {
                    // Others get their turn between two slices.
                    Ok(dropped) if dropped == SLICE.get() => {
                        calls.parts.timer.sleep(Duration::ZERO).await;
                    }
                    Ok(_) => break,
                    Err(error) => {
                        tracing::error!(target: "mintage", %error, "the store was not purged");
                        break;
                    }
                }
            }
        }
    }

    /// The clock that this engine was given.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.core.calls.parts.clock
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.core.calls.parts.store)
            .finish_non_exhaustive()
    }
}

/// A page of identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPage {
    /// Those on this page.
    pub identities: Vec<Identity>,
    /// How many there are in all.
    pub count: u64,
}
