//! The exchange: one authority in, one access token out.
//!
//! It is a chain of values, each made by consuming the one before, so that no step can be skipped
//! or done out of order:
//!
//! [`Exchange`] → [`Shaped`] → [`Parsed`] → [`Authorised`] → [`Redeemed`] → [`Claimed`] → [`Exchanged`]
//!
//! Whatever can fail without the store comes before the one store call, so a wrong field, a
//! resolver or a key service that is down burns no token.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    assertion::{Assertion, AssertionExpectation, UnverifiedAssertion},
    audit::{Operation, Trail},
    claims::{Claims, TokenType},
    engine::Core,
    error::{Denied, Error, FieldRule, Internal, InvalidField, Unauthenticated, Unavailable},
    grant::{
        Bearer, Context, First, Grant, Issue, Mint, Minted, Open, Purpose, Read, Redeem,
        Redemption, Refusal, State, StepUp, Strength, Terms, Verdict,
    },
    id::{Attempt, Generation, GrantId, IdempotencyRef},
    instant::Lifetime,
    keys::{KeyError, KeyErrorKind, SigningKey},
    model::{Client, Credential, CredentialType, Identity, Scope, Status},
    one_time::{InvalidOneTimeToken, OneTimeToken},
    secret::SecretText,
};

/// What a client presents to obtain an access token: exactly one authority.
///
/// | presented | means | store call | yields |
/// |---|---|---|---|
/// | Bearer auth token | a logged-in user picks an identity | `open` | a new grant under that login |
/// | one-time token, no Bearer | a widget or app proved who the user is | `redeem` | that grant, active |
/// | Bearer access token + one-time token | the user passed a step-up | `step_up` | the one-time token's grant, `STEPPED_UP` |
/// | client assertion, no Bearer | an API client acts for a consenting identity | `issue` | an `API_CLIENT` grant |
/// | none, or any other mix | | none | [`Error::Invalid`] |
#[derive(Debug)]
pub struct Exchange {
    /// Who asks: [`Engine::client`](crate::Engine::client) knows it by its api-key.
    pub client: Client,
    /// On whose behalf the token is to act.
    pub identity: Identity,
    /// The token of the `Authorization: Bearer` header (RFC 6750 §2.1).
    pub bearer: Option<SecretText>,
    /// A one-time token.
    pub token: Option<SecretText>,
    /// A client assertion (RFC 7523).
    pub client_assertion: Option<SecretText>,
    /// A narrower scope than the one that was granted; `None`: all of it.
    pub scope: Option<Scope>,
    /// The client's own name for this attempt. Without one, nobody can repeat it: a second try
    /// with the same one-time token is then a replay.
    pub idempotency_ref: Option<IdempotencyRef>,
}

/// What an exchange yields.
#[derive(Debug)]
pub struct Exchanged {
    /// The access token.
    pub token: SecretText,
    /// Whose credential it is.
    pub credential: Credential,
    /// On whose behalf it acts.
    pub identity: Identity,
    /// Its status.
    pub status: Status,
    /// Its grant: the token's `jti`.
    pub grant: GrantId,
    /// Its absolute limit.
    pub expires_at: OffsetDateTime,
    /// The same attempt had this very token before.
    pub retried: bool,
}

impl Exchange {
    /// A request that presents nothing yet: add exactly one authority.
    #[must_use]
    pub fn new(client: Client, identity: Identity) -> Self {
        Self {
            client,
            identity,
            bearer: None,
            token: None,
            client_assertion: None,
            scope: None,
            idempotency_ref: None,
        }
    }

    /// What can be said before anything is asked: which authorities are there, and whether each
    /// is of the right form.
    pub(crate) fn shape(self, trail: &mut Trail<'_>) -> Result<Shaped, Error> {
        trail.identity = Some(self.identity.clone());
        let attempt = self.attempt()?;
        let repeatable = self.idempotency_ref.is_some();
        let Self { client, identity, bearer, token, client_assertion, scope, .. } = self;
        let mix = AuthorityMix {
            bearer: bearer.is_some(),
            token: token.is_some(),
            client_assertion: client_assertion.is_some(),
        };
        let presented = match (bearer, token, client_assertion) {
            (Some(bearer), None, None) => Presented::Bearer(bearer),
            (None, Some(token), None) => {
                trail.operation = Operation::Redeem;
                Presented::OneTime(token.expose().parse().map_err(Denied::OneTimeToken)?)
            }
            // A token of the wrong form is refused once it is known who presents it.
            (Some(bearer), Some(token), None) => Presented::Both(bearer, token.expose().parse()),
            (None, None, Some(assertion)) => {
                trail.operation = Operation::Assert;
                let assertion = UnverifiedAssertion::parse(assertion.expose());
                Presented::Assertion(assertion.map_err(Denied::Assertion)?)
            }
            _ => return Err(Error::Invalid(mix.wrong())),
        };
        Ok(Shaped { client, identity, scope, attempt, repeatable, presented })
    }

    fn attempt(&self) -> Result<Attempt, Error> {
        let Some(reference) = &self.idempotency_ref else {
            return Ok(Attempt::unrepeatable()?);
        };
        let fields = [
            self.client.tenant.as_str().as_bytes(),
            self.identity.kind.as_str().as_bytes(),
            self.identity.id.as_str().as_bytes(),
            text(self.bearer.as_ref()),
            text(self.token.as_ref()),
            text(self.client_assertion.as_ref()),
            self.scope.as_ref().map_or(&[][..], |scope| scope.as_str().as_bytes()),
        ];
        Ok(Attempt::of(reference, &self.client.id, &fields))
    }
}

/// Which authorities are presented, before it is known what they are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityMix {
    /// There is a Bearer.
    pub bearer: bool,
    /// There is a one-time token.
    pub token: bool,
    /// There is a client assertion.
    pub client_assertion: bool,
}

impl AuthorityMix {
    /// The fields that a 400 names for this mix; none where it is on a row of the table. For a
    /// front end that names every wrong field in one answer.
    #[must_use]
    pub fn invalid_fields(self) -> Vec<InvalidField> {
        match (self.bearer, self.token, self.client_assertion) {
            (true, _, false) | (false, true, false) | (false, false, true) => Vec::new(),
            _ => self.wrong(),
        }
    }

    /// Names every authority that is there, of which exactly one may be; or all that could be.
    fn wrong(self) -> Vec<InvalidField> {
        const NAMES: [&str; 3] = ["Authorization", "token", "clientAssertion"];
        let present = [self.bearer, self.token, self.client_assertion];
        let none = present == [false; 3];
        let rule = if none { FieldRule::AtLeast } else { FieldRule::Exactly };
        let named =
            || NAMES.into_iter().zip(present).filter(|(_, it)| none || *it).map(|(name, _)| name);
        let params: Vec<_> = std::iter::once("1").chain(named()).collect();
        named().map(|field| InvalidField { field, rule, params: params.clone() }).collect()
    }
}

fn text(secret: Option<&SecretText>) -> &[u8] {
    secret.map_or(&[], |secret| secret.expose().as_bytes())
}

/// A request that is well formed.
pub(crate) struct Shaped {
    client: Client,
    identity: Identity,
    scope: Option<Scope>,
    attempt: Attempt,
    repeatable: bool,
    presented: Presented,
}

/// What is presented, of the right form and nothing more.
enum Presented {
    Bearer(SecretText),
    OneTime(OneTimeToken),
    Both(SecretText, Result<OneTimeToken, InvalidOneTimeToken>),
    Assertion(UnverifiedAssertion),
}

impl Shaped {
    /// Carries the rest of the exchange out.
    pub(crate) async fn run(
        self,
        core: &Core,
        cx: &Context,
        trail: &mut Trail<'_>,
    ) -> Result<Exchanged, Error> {
        let parsed = self.parse(core, cx, trail).await?;
        let authorised = parsed.authorise(core, cx).await?;
        let redeemed = authorised.redeem(core, cx).await?;
        let claimed = redeemed.claim(core, cx, trail).await?;
        claimed.sign(core).await
    }

    /// Which row of the table it is, with whatever can be checked of each authority by itself.
    async fn parse(
        self,
        core: &Core,
        cx: &Context,
        trail: &mut Trail<'_>,
    ) -> Result<Parsed, Error> {
        let Self { client, identity, scope, attempt, repeatable, presented } = self;
        let authority = match presented {
            Presented::OneTime(token) => Authority::OneTime(token),
            Presented::Bearer(bearer) => match core.bearer(&client, &bearer, cx).await? {
                (TokenType::Auth, claims) => Authority::Login(claims),
                (TokenType::Access, _) => {
                    let (field, rule) = ("token", FieldRule::Required);
                    let params = vec!["Authorization"];
                    return Err(Error::Invalid(vec![InvalidField { field, rule, params }]));
                }
            },
            Presented::Both(bearer, token) => match core.bearer(&client, &bearer, cx).await? {
                (TokenType::Auth, _) => {
                    let mix = AuthorityMix { bearer: true, token: true, client_assertion: false };
                    return Err(Error::Invalid(mix.wrong()));
                }
                (TokenType::Access, claims) => {
                    trail.operation = Operation::StepUp;
                    evidence(claims, token.map_err(Denied::OneTimeToken)?, &identity)?
                }
            },
            Presented::Assertion(assertion) => {
                let assertion = verified(assertion, &client, repeatable, core, cx).await?;
                Authority::Assertion(assertion)
            }
        };
        (trail.operation, trail.grant) = match &authority {
            Authority::Login(login) => (Operation::Open, Some(login.id)),
            Authority::OneTime(token) => (Operation::Redeem, Some(token.id())),
            Authority::StepUp(_, token) => (Operation::StepUp, Some(token.id())),
            Authority::Assertion(_) => (Operation::Assert, None),
        };
        trail.credential = authority.credential().cloned();
        Ok(Parsed { client, identity, scope, attempt, authority })
    }
}

/// A Bearer and a one-time token that may belong together, as far as they tell by themselves.
fn evidence(claims: Claims, token: OneTimeToken, identity: &Identity) -> Result<Authority, Denied> {
    // The store is asked about one shard only; another locator is another credential.
    if token.id().locator() != claims.id.locator() {
        return Err(Denied::OtherCredential);
    }
    if claims.identity.as_ref() != Some(identity) {
        return Err(Denied::OtherIdentity);
    }
    Ok(Authority::StepUp(claims, token))
}

/// An assertion that is good as far as it can be seen without its record.
async fn verified(
    assertion: UnverifiedAssertion,
    client: &Client,
    repeatable: bool,
    core: &Core,
    cx: &Context,
) -> Result<Assertion, Error> {
    if core.store_may_evict() {
        return Err(Denied::StoreMayEvict.into());
    }
    let realm = core.realm(&client.tenant)?;
    let calls = &core.calls;
    let keys = calls.parts.clients.assertion_keys(client, assertion.issuer());
    let keys = calls.clients(keys).await?;
    let expectation = AssertionExpectation {
        audiences: std::slice::from_ref(&realm.assertion_audience),
        now: cx.now,
        max_age: calls.parts.policy.assertion_max_age,
        max_skew: cx.max_skew,
        // The store tells a retry from an assertion that comes too late.
        grace: if repeatable { cx.retry_window } else { Lifetime::ZERO },
    };
    let assertion = assertion.verify(&keys, &expectation).map_err(Denied::Assertion)?;
    // Absence of the record means "not yet spent" only where the store cannot have lost it.
    if assertion.issued_at <= cx.epoch.0.after(cx.max_skew) {
        return Err(Denied::AssertionBeforeEpoch.into());
    }
    Ok(assertion)
}

/// A request that is well formed, by an authority that is good as far as it can be seen without
/// the store.
struct Parsed {
    client: Client,
    identity: Identity,
    scope: Option<Scope>,
    attempt: Attempt,
    authority: Authority,
}

/// What is presented, checked by itself: the rows of the table.
enum Authority {
    Login(Claims),
    OneTime(OneTimeToken),
    StepUp(Claims, OneTimeToken),
    Assertion(Assertion),
}

impl Authority {
    fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Login(claims) | Self::StepUp(claims, _) => Some(&claims.credential),
            Self::OneTime(_) | Self::Assertion(_) => None,
        }
    }
}

impl Parsed {
    /// The signing key, then the identity: from here on, nothing but the store is needed until the
    /// token is bought.
    async fn authorise(self, core: &Core, cx: &Context) -> Result<Authorised, Error> {
        let Self { client, identity, scope, attempt, authority } = self;
        let policy = &core.calls.parts.policy;
        let key = core.signing_key(cx).await?;
        let mut mint = core.minting(&client, policy.access, &key)?;
        mint.scope.clone_from(&scope);
        let redeem = |token: &OneTimeToken, mint, resolved| Redeem {
            id: token.id(),
            secret: token.secret_digest(),
            tenant: client.tenant.clone(),
            client: client.id.clone(),
            identity: identity.clone(),
            resolved,
            attempt,
            mint,
            on_replay: policy.on_replay,
        };
        let call = match &authority {
            Authority::Login(login) => {
                mint.scope = narrowed(scope, login.scope.as_ref())?;
                core.resolve(&client.tenant, &login.credential, &identity).await?;
                Call::Open(Open {
                    login: Bearer::of(login),
                    id: GrantId::of_child(login.id, attempt),
                    identity,
                    attempt,
                    mint,
                    slide: core.slide(TokenType::Auth),
                })
            }
            Authority::OneTime(token) => {
                let resolved = examine(core, cx, &client, &identity, token, &mut mint).await?;
                Call::Redeem(redeem(token, mint, resolved))
            }
            Authority::StepUp(bearer, token) => {
                // It is the Bearer's scope that a step-up keeps, or narrows, where it has one.
                let kept = match &bearer.scope {
                    Some(own) => narrowed(mint.scope.take(), Some(own))?,
                    None => None,
                };
                let resolved = examine(core, cx, &client, &identity, token, &mut mint).await?;
                mint.scope = mint.scope.or(kept);
                let redeem = redeem(token, mint, resolved);
                Call::StepUp(StepUp { bearer: Bearer::of(bearer), redeem })
            }
            Authority::Assertion(assertion) => {
                let credential =
                    Credential::new(CredentialType::ApiClient, assertion.issuer.clone());
                core.resolve(&client.tenant, &credential, &identity).await?;
                if mint.scope.is_some() {
                    return Err(Denied::Scope.into());
                }
                Call::Issue(issue(assertion, &client, credential, identity, attempt, mint, cx)?)
            }
        };
        Ok(Authorised { call, key })
    }
}

/// What the engine must know of a one-time token before it is spent: whether its scope covers the
/// one that is asked for and, where the policy says so, whether its identity is still linked. Its
/// terms never change, so what is read here holds when it is redeemed. Says whether the identity
/// was resolved.
async fn examine(
    core: &Core,
    cx: &Context,
    client: &Client,
    identity: &Identity,
    token: &OneTimeToken,
    mint: &mut Mint,
) -> Result<bool, Error> {
    let resolve = core.calls.parts.policy.resolve_at_exchange;
    if !resolve && mint.scope.is_none() {
        return Ok(false);
    }
    let terms = read_terms(core, cx, client, token.id(), token.secret_digest()).await?;
    if resolve {
        core.resolve(&terms.tenant, &terms.credential, identity).await?;
    }
    mint.scope = narrowed(mint.scope.take(), terms.scope.as_ref())?;
    Ok(resolve)
}

async fn read_terms(
    core: &Core,
    cx: &Context,
    client: &Client,
    id: GrantId,
    secret: crate::secret::SecretDigest,
) -> Result<Arc<Terms>, Error> {
    let (tenant, client) = (client.tenant.clone(), client.id.clone());
    let read = Read::OneTime { id, secret, tenant, client };
    match core.calls.ask(core.calls.parts.store.read(&read, cx)).await? {
        Verdict::Granted { grant, .. } => Ok(grant.terms),
        Verdict::Refused(refusal) => Err(denied(refusal)),
    }
}

/// The scope of the token: what is asked for, within what was granted.
fn narrowed(asked: Option<Scope>, granted: Option<&Scope>) -> Result<Option<Scope>, Error> {
    match (asked, granted) {
        (None, granted) => Ok(granted.cloned()),
        (Some(asked), Some(granted)) if asked.is_within(granted) => Ok(Some(asked)),
        (Some(_), _) => Err(Denied::Scope.into()),
    }
}

fn issue(
    assertion: &Assertion,
    client: &Client,
    credential: Credential,
    identity: Identity,
    attempt: Attempt,
    mint: Mint,
    cx: &Context,
) -> Result<Issue, Error> {
    Ok(Issue {
        id: GrantId::of_assertion(&client.tenant, &assertion.issuer, &assertion.jti),
        terms: Arc::new(Terms {
            tenant: client.tenant.clone(),
            client: client.id.clone(),
            credential,
            auth_time: assertion.issued_at,
            scope: None,
            claims: None,
        }),
        generation: Generation::random()?,
        covers: mint.absolute,
        first: First::Token {
            attempt,
            purpose: Purpose::Access { identity, login: None },
            strength: Strength::Standard,
            mint,
            not_after: assertion.ends_at,
            keep_until: assertion.ends_at.after(cx.max_skew),
        },
    })
}

/// Everything but the store call has been done: this is the state change that is to be made, and
/// the key that will sign.
struct Authorised {
    call: Call,
    key: SigningKey,
}

enum Call {
    Open(Open),
    Redeem(Redeem),
    StepUp(StepUp),
    Issue(Issue),
}

impl Authorised {
    /// The one store call that is the whole state change.
    async fn redeem(self, core: &Core, cx: &Context) -> Result<Redeemed, Error> {
        let Self { mut call, key } = self;
        let (grant, retried) = match call.make(core, cx).await {
            // Good for any identity, which only the record knows. Nothing was changed: resolve
            // this one, and repeat every condition.
            Err(Error::Denied(Denied::Grant(Refusal::Unresolved))) => {
                call.resolve(core, cx).await?;
                call.make(core, cx).await?
            }
            made => made?,
        };
        Ok(Redeemed { grant, retried, key })
    }
}

impl Call {
    async fn make(&self, core: &Core, cx: &Context) -> Result<(Grant, bool), Error> {
        let (calls, store) = (&core.calls, &core.calls.parts.store);
        let redemption = match self {
            Self::Open(event) => calls.store(store.open(event, cx)).await?,
            Self::Redeem(event) => calls.store(store.redeem(event, cx)).await?,
            Self::StepUp(event) => calls.store(store.step_up(event, cx)).await?,
            Self::Issue(event) => match calls.store(store.issue(event, cx)).await? {
                Verdict::Granted { grant, retried } => Redemption::Redeemed { grant, retried },
                Verdict::Refused(refusal) => Redemption::Refused(refusal),
            },
        };
        match redemption {
            Redemption::Redeemed { grant, retried } => Ok((grant, retried)),
            Redemption::Replayed { revoked } => Err(Denied::Replayed { revoked }.into()),
            Redemption::Refused(refusal) => Err(denied(refusal)),
            Redemption::BearerRefused(refusal) => Err(unauthenticated(refusal)),
        }
    }

    async fn resolve(&mut self, core: &Core, cx: &Context) -> Result<(), Error> {
        let event = match self {
            Self::Redeem(event) | Self::StepUp(StepUp { redeem: event, .. }) => event,
            Self::Open(_) | Self::Issue(_) => return Err(Error::Internal(Internal::Store)),
        };
        let client = Client { id: event.client.clone(), tenant: event.tenant.clone() };
        let terms = read_terms(core, cx, &client, event.id, event.secret).await?;
        core.resolve(&terms.tenant, &terms.credential, &event.identity).await?;
        event.resolved = true;
        Ok(())
    }
}

/// The authority is not good. Not the caller's fault where it is the clock's.
pub(crate) fn denied(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Clock => Unavailable::Clock.into(),
        _ => Denied::Grant(refusal).into(),
    }
}

/// The Bearer is not live. Not the caller's fault where it is the clock's.
pub(crate) fn unauthenticated(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Clock => Unavailable::Clock.into(),
        _ => Unauthenticated::Grant(refusal).into(),
    }
}

/// The token is bought: its grant is written.
struct Redeemed {
    grant: Grant,
    retried: bool,
    key: SigningKey,
}

impl Redeemed {
    /// What the token says is a function of its grant's record, the same for the first answer and
    /// for every retry.
    async fn claim(
        self,
        core: &Core,
        cx: &Context,
        trail: &mut Trail<'_>,
    ) -> Result<Claimed, Error> {
        let Self { grant, retried, mut key } = self;
        let State::Active(active) = &grant.state else {
            return Err(Error::Internal(Internal::Store));
        };
        let claims = Claims::of(&grant, &active.minted);
        let Some(identity) = claims.identity.clone() else {
            return Err(Error::Internal(Internal::Store));
        };
        trail.grant = Some(grant.id);
        trail.credential = Some(claims.credential.clone());
        trail.status = Some(claims.status);
        trail.retried = retried;
        let wanted = active.minted.key;
        if key.key_ref() != wanted {
            // A retry, after the key was rotated: the same bytes need the same key.
            let keys = &core.calls.parts.keys;
            key = core.calls.signer(keys.signing_key(Some(&wanted.kid), cx.now)).await?;
            if key.key_ref() != wanted {
                return Err(Unavailable::Signer(KeyError::new(KeyErrorKind::UnknownKey)).into());
            }
        }
        Ok(Claimed { claims, identity, retried, key })
    }
}

impl Claims {
    /// The claims of the token that was minted for this grant.
    pub(crate) fn of(grant: &Grant, minted: &Minted) -> Self {
        let (identity, login) = match &minted.purpose {
            Purpose::Login => (None, None),
            Purpose::Access { identity, login } => (Some(identity.clone()), *login),
        };
        let status = minted.strength.status(minted.at);
        let stepped_up_until = match minted.strength {
            Strength::SteppedUp { until } if status == Status::SteppedUp => until,
            Strength::SteppedUp { .. } | Strength::Standard => None,
        };
        Self {
            issuer: minted.issuer.clone(),
            audience: minted.audience.clone(),
            client: grant.terms.client.clone(),
            tenant: grant.terms.tenant.clone(),
            id: grant.id,
            login,
            credential: grant.terms.credential.clone(),
            identity,
            issued_at: minted.at,
            expires_at: minted.expires_at,
            auth_time: grant.terms.auth_time,
            status,
            stepped_up_until,
            scope: minted.scope.clone(),
            host: grant.terms.claims.clone(),
        }
    }
}

impl Bearer {
    /// What these claims say of their grant.
    pub(crate) fn of(claims: &Claims) -> Self {
        Self {
            id: claims.id,
            login: claims.login,
            tenant: claims.tenant.clone(),
            client: claims.client.clone(),
            credential: claims.credential.clone(),
        }
    }
}

/// What the token is to say, and the key that signs it.
struct Claimed {
    claims: Claims,
    identity: Identity,
    retried: bool,
    key: SigningKey,
}

impl Claimed {
    /// The token.
    async fn sign(self, core: &Core) -> Result<Exchanged, Error> {
        let Self { claims, identity, retried, key } = self;
        let token = core.sign(TokenType::Access, &claims, &key).await?;
        Ok(Exchanged {
            token,
            identity,
            status: claims.status,
            grant: claims.id,
            expires_at: claims.expires_at.into(),
            credential: claims.credential,
            retried,
        })
    }
}
