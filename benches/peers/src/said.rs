//! What the token says, as a host writes it down for a library that takes any claims.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage_benches::Failure;
use serde::{Deserialize, Serialize};

/// The claims of the sample, under their names in the token and in the order in which they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) sub: String,
    pub(crate) credentials: Party,
    pub(crate) identity: Party,
    pub(crate) acr: String,
    pub(crate) sid: String,
    pub(crate) jti: String,
    pub(crate) auth_time: u64,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) stepped_up_until: u64,
}

/// Who logged in, or on whose behalf they act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Party {
    pub(crate) r#type: String,
    pub(crate) id: String,
}

impl Said {
    /// What this token says, and nothing else.
    pub(crate) fn by(token: &str) -> Result<Self, Failure> {
        let payload = token.split('.').nth(1).ok_or("no token")?;
        let payload = URL_SAFE_NO_PAD.decode(payload)?;
        let said: Self = serde_json::from_slice(&payload)?;
        if serde_json::to_vec(&said)? == payload {
            Ok(said)
        } else {
            Err("the token says more than is known, or in another order".into())
        }
    }

    /// The claims that have no place of their own in most libraries.
    pub(crate) fn own(&self) -> Own {
        Own {
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
            credentials: self.credentials.clone(),
            identity: self.identity.clone(),
            acr: self.acr.clone(),
            sid: self.sid.clone(),
            auth_time: self.auth_time,
            stepped_up_until: self.stepped_up_until,
        }
    }
}

/// All but the registered claims of RFC 7519 §4.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) credentials: Party,
    pub(crate) identity: Party,
    pub(crate) acr: String,
    pub(crate) sid: String,
    pub(crate) auth_time: u64,
    pub(crate) stepped_up_until: u64,
}
