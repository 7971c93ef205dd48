//! The sandbox's people: what a host keeps in its own tables, and the two seams that the engine
//! reads it through.

use std::{collections::HashMap, fmt::Write as _};

use mintage::{
    AssertionKey, Audience, Client, ClientRegistry, Credential, CredentialId, CredentialType,
    Identity, IdentityResolver, IdentityType, InvalidName, Issuer, Listing, LookupError, Page,
    Realm, Resolution, SecretDigest, SecretText, SigningKey, Tenant, async_trait,
};

/// The password of every person. A real host keeps Argon2 hashes.
const PASSWORD: &str = "sandbox";

/// api-key, client id, tenant.
const CLIENTS: [(&str, &str, &str); 2] =
    [("sandbox-acme", "acme-web", "acme"), ("sandbox-other", "other-web", "other")];

/// tenant, email (none for an API client), credential, whether it is locked, identities.
type Row = (
    &'static str,
    Option<&'static str>,
    (CredentialType, &'static str),
    bool,
    &'static [(IdentityType, &'static str)],
);

use {
    CredentialType::{ApiClient, Root, User},
    IdentityType::{Consumer, Corporate},
};

const PEOPLE: [Row; 5] = [
    (
        "acme",
        Some("root@acme.example"),
        (Root, "1001"),
        false,
        &[(Corporate, "5001"), (Corporate, "5002"), (Consumer, "7001")],
    ),
    ("acme", Some("user@acme.example"), (User, "1002"), false, &[(Corporate, "5001")]),
    ("acme", Some("locked@acme.example"), (Root, "1003"), true, &[(Consumer, "7002")]),
    ("acme", None, (ApiClient, "9001"), false, &[(Corporate, "5002")]),
    ("other", Some("root@other.example"), (Root, "1001"), false, &[(Corporate, "5001")]),
];

/// In whose name a tenant's tokens are signed.
fn issuer(tenant: &str) -> Result<Issuer, InvalidName> {
    format!("https://{tenant}.example").parse()
}

/// Everybody whom the sandbox knows.
#[derive(Debug)]
pub(crate) struct People {
    clients: HashMap<SecretDigest, Client>,
    by_credential: HashMap<(Tenant, Credential), Person>,
    /// Signs for the delegated API client: a real host has the public half only.
    pub(crate) delegated_key: SigningKey,
}

#[derive(Debug)]
struct Person {
    email: Option<&'static str>,
    locked: bool,
    identities: Vec<Identity>,
}

/// What became of a password.
pub(crate) enum PasswordCheck {
    Right(Credential),
    Wrong,
    Locked,
}

impl People {
    pub(crate) fn new(delegated_key: SigningKey) -> Result<Self, InvalidName> {
        let mut clients = HashMap::new();
        for (api_key, id, tenant) in CLIENTS {
            let client = Client { id: id.parse()?, tenant: tenant.parse()? };
            clients.insert(SecretText::new(api_key).digest(), client);
        }
        let mut by_credential = HashMap::new();
        for (tenant, email, (kind, id), locked, identities) in PEOPLE {
            let identities = identities
                .iter()
                .map(|(kind, id)| Ok(Identity::new(*kind, id.parse()?)))
                .collect::<Result<_, InvalidName>>()?;
            let credential = Credential::new(kind, id.parse()?);
            by_credential
                .insert((tenant.parse()?, credential), Person { email, locked, identities });
        }
        Ok(Self { clients, by_credential, delegated_key })
    }

    /// In whose name each tenant's tokens are signed, and for whom.
    pub(crate) fn realms() -> Result<HashMap<Tenant, Realm>, InvalidName> {
        let realm = |(_, _, tenant): (_, _, &str)| {
            let audience = format!("https://api.{tenant}.example").parse()?;
            Ok((tenant.parse()?, Realm { issuer: issuer(tenant)?, audience }))
        };
        CLIENTS.into_iter().map(realm).collect()
    }

    pub(crate) fn check_password(
        &self,
        tenant: &Tenant,
        email: &str,
        password: &str,
    ) -> PasswordCheck {
        let found = self.by_credential.iter().find(|((own, _), person)| {
            own == tenant && person.email.is_some_and(|own| own.eq_ignore_ascii_case(email))
        });
        match found {
            Some((_, person)) if person.locked => PasswordCheck::Locked,
            Some(((_, credential), _)) if password == PASSWORD => {
                PasswordCheck::Right(credential.clone())
            }
            _ => PasswordCheck::Wrong,
        }
    }

    /// The delegated API client that this client owns, if it does, and whom it must address.
    pub(crate) fn delegation(&self, client: &Client) -> Option<(CredentialId, Audience)> {
        let mut own = self.by_credential.keys().filter(|(tenant, _)| *tenant == client.tenant);
        let (_, credential) = own.find(|(_, credential)| credential.kind == ApiClient)?;
        Some((credential.id.clone(), issuer(client.tenant.as_str()).ok()?.into()))
    }

    fn person(&self, tenant: &Tenant, credential: &Credential) -> Option<&Person> {
        self.by_credential.get(&(tenant.clone(), credential.clone()))
    }

    /// The table that greets a newcomer.
    pub(crate) fn table() -> String {
        let mut table = String::new();
        let mut line = |cells: [&str; 5], identities: &str| {
            let [api_key, client, email, password, credential] = cells;
            // Writing to a `String` does not fail.
            let _ = writeln!(
                table,
                "{api_key:<14} {client:<10} {email:<20} {password:<9} {credential:<16} {identities}"
            );
        };
        line(["api-key", "client id", "email", "password", "credential"], "identities");
        for (tenant, email, (kind, id), locked, identities) in PEOPLE {
            let client = CLIENTS.into_iter().find(|(_, _, own)| *own == tenant);
            let (api_key, client, _) = client.unwrap_or_default();
            let (email, password) = email.map_or(("–", "–"), |email| (email, PASSWORD));
            let identities: Vec<_> =
                identities.iter().map(|(kind, id)| format!("{kind} {id}")).collect();
            let identities = identities.join(", ") + if locked { " (locked)" } else { "" };
            line([api_key, client, email, password, &format!("{kind} {id}")], &identities);
        }
        table
    }
}

#[async_trait]
impl ClientRegistry for People {
    async fn client(&self, api_key: &SecretDigest) -> Result<Option<Client>, LookupError> {
        Ok(self.clients.get(api_key).cloned())
    }

    async fn assertion_keys(
        &self,
        client: &Client,
        issuer: &CredentialId,
    ) -> Result<Vec<AssertionKey>, LookupError> {
        let owns = self.delegation(client).is_some_and(|(own, _)| own == *issuer);
        let key = || AssertionKey::from(self.delegated_key.verifying_key().clone());
        Ok(owns.then(key).into_iter().collect())
    }
}

#[async_trait]
impl IdentityResolver for People {
    async fn identities(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        page: Page,
    ) -> Result<Listing, LookupError> {
        Ok(match self.person(tenant, credential) {
            None => Listing::Disabled,
            Some(person) if person.locked => Listing::Locked { until: None },
            Some(Person { identities, .. }) => {
                let from = identities.iter().skip(page.offset as usize);
                Listing::Identities {
                    identities: from.take(page.limit as usize).cloned().collect(),
                    count: identities.len() as u64,
                }
            }
        })
    }

    async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<Resolution, LookupError> {
        Ok(match self.person(tenant, credential) {
            Some(person) if person.locked => Resolution::Locked { until: None },
            Some(person) if person.identities.contains(identity) => Resolution::Linked,
            _ => Resolution::NotLinked,
        })
    }
}
