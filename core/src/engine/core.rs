//! What all clones of an engine share, and what every operation is made of.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    audit::{Operation, Trail},
    claims::{self, Claims, TokenType},
    error::{Denied, Error, Internal, StartError, Unauthenticated, Unavailable},
    exchange::{Exchange, Exchanged},
    grant::{Context, Mint, Slide},
    host::Resolution,
    instant::Timestamp,
    jws::{self, Expectation, Opened},
    keys::{KeySet, SigningKey},
    model::{Audience, Client, Credential, Identity, Issuer, Tenant},
    policy::TokenLifetime,
    secret::SecretText,
    verifier::Leeway,
};

use super::{Parts, Realm, calls::Calls, pulse::Pulse};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) calls: Calls,
    pub(super) pulse: Pulse,
    may_evict: AtomicBool,
    realms: HashMap<Tenant, CheckedRealm>,
}

/// A realm, and the audience that its client assertions must have.
#[derive(Debug)]
pub(crate) struct CheckedRealm {
    pub(crate) issuer: Issuer,
    pub(crate) audience: Audience,
    pub(crate) assertion_audience: Audience,
}

impl Core {
    pub(super) fn new(mut parts: Parts) -> Self {
        let realms = std::mem::take(&mut parts.tenants)
            .into_iter()
            .map(|(tenant, Realm { issuer, audience })| {
                let assertion_audience = Audience::from(issuer.clone());
                (tenant, CheckedRealm { issuer, audience, assertion_audience })
            })
            .collect();
        Self {
            calls: Calls { parts },
            pulse: Pulse::default(),
            may_evict: AtomicBool::new(true),
            realms,
        }
    }

    /// Asks the store what it promises, and whether that is enough.
    pub(super) async fn learn_guarantee(&self) -> Result<(), StartError> {
        let parts = &self.calls.parts;
        let guarantee =
            self.calls.ask(parts.store.guarantee()).await.map_err(Unavailable::Store)?;
        let required = parts.policy.required_grade;
        let required = required.one_time.max(required.stepped_up);
        if guarantee.grade < required {
            let (found, reason) = (guarantee.grade, guarantee.reason);
            return Err(StartError::Grade { required, found, reason });
        }
        self.may_evict.store(guarantee.may_evict, Ordering::Release);
        Ok(())
    }

    pub(crate) fn store_may_evict(&self) -> bool {
        self.may_evict.load(Ordering::Acquire)
    }

    pub(crate) async fn context(&self) -> Result<Context, Error> {
        Ok(self.pulse.context(&self.calls).await?)
    }

    pub(super) fn tick(&self) -> Result<Timestamp, Error> {
        Ok(self.pulse.tick(&self.calls)?)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.calls.parts.clock.now().into()
    }

    pub(super) async fn exchange(
        &self,
        exchange: Exchange,
        trail: &mut Trail<'_>,
    ) -> Result<Exchanged, Error> {
        let shaped = exchange.shape(trail)?;
        let cx = self.context().await?;
        shaped.run(self, &cx, trail).await
    }

    /// The trail of what a client asks for.
    pub(super) fn trail<'a>(&'a self, operation: Operation, client: &'a Client) -> Trail<'a> {
        Trail::new(&self.calls.parts, operation, Some(&client.tenant), Some(client))
    }

    /// The trail of what the host itself asks for.
    pub(super) fn host_trail<'a>(
        &'a self,
        operation: Operation,
        tenant: Option<&'a Tenant>,
    ) -> Trail<'a> {
        Trail::new(&self.calls.parts, operation, tenant, None)
    }

    pub(crate) fn realm(&self, tenant: &Tenant) -> Result<&CheckedRealm, Error> {
        self.realms.get(tenant).ok_or(Error::Internal(Internal::UnknownTenant))
    }

    pub(super) async fn verifying_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, Unavailable> {
        self.calls.keys(self.calls.parts.keys.verifying_keys(now)).await
    }

    /// The key that signs now.
    pub(crate) async fn signing_key(&self, cx: &Context) -> Result<SigningKey, Unavailable> {
        self.calls.keys(self.calls.parts.keys.signing_key(None, cx.now)).await
    }

    /// How a token of this client, made now with this key, is to be made.
    pub(crate) fn minting(
        &self,
        client: &Client,
        lifetime: TokenLifetime,
        key: &SigningKey,
    ) -> Result<Mint, Error> {
        let realm = self.realm(&client.tenant)?;
        Ok(Mint {
            idle: lifetime.idle,
            absolute: lifetime.absolute,
            key: key.key_ref(),
            issuer: realm.issuer.clone(),
            audience: realm.audience.clone(),
            scope: None,
        })
    }

    /// Signs a token.
    pub(crate) async fn sign(
        &self,
        token_type: TokenType,
        claims: &Claims,
        key: &SigningKey,
    ) -> Result<SecretText, Error> {
        Ok(self.calls.signer(claims::mint(token_type, claims, key)).await?)
    }

    /// A Bearer of this client, by its signature and claims alone.
    pub(crate) async fn bearer(
        &self,
        client: &Client,
        bearer: &SecretText,
        cx: &Context,
    ) -> Result<(TokenType, Claims), Error> {
        let keys = self.verifying_keys(cx.now).await?;
        let leeway = Leeway::default();
        let Opened { token_type, claims, .. } =
            jws::open(bearer.expose(), &keys, cx.now, leeway).map_err(Unauthenticated::Token)?;
        if claims.tenant != client.tenant {
            return Err(Unauthenticated::OtherTenant.into());
        }
        if claims.client != client.id {
            return Err(Unauthenticated::OtherClient.into());
        }
        let realm = self.realm(&client.tenant)?;
        let expectation = Expectation { issuer: &realm.issuer, audience: &realm.audience, leeway };
        expectation.check(&claims, cx.now).map_err(Unauthenticated::Token)?;
        Ok((token_type, claims))
    }

    /// Makes sure that the credential may act for the identity now.
    pub(crate) async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<(), Error> {
        let resolver = &self.calls.parts.identities;
        match self.calls.identities(resolver.resolve(tenant, credential, identity)).await? {
            Resolution::Linked => Ok(()),
            Resolution::NotLinked => Err(Denied::NotLinked.into()),
            Resolution::Locked { until } => Err(Error::Locked { until }),
            Resolution::Disabled => Err(Denied::Disabled.into()),
        }
    }

    /// How use moves the idle deadline of a token of this type.
    pub(crate) fn slide(&self, token_type: TokenType) -> Slide {
        let policy = &self.calls.parts.policy;
        let idle = match token_type {
            TokenType::Auth => policy.login.idle,
            TokenType::Access => policy.access.idle,
        };
        Slide { idle, granularity: policy.idle_granularity }
    }
}
