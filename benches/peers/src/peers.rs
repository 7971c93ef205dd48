//! The peers, each with its key read and its claims put together.

use std::time::{Duration, SystemTime};

use biscuit_auth::builder::Algorithm as BiscuitAlgorithm;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use josekit::{
    jws::{EdDSA, JwsHeader, alg::eddsa::EddsaJwsSigner, alg::eddsa::EddsaJwsVerifier},
    jwt::{self, JwtPayload},
};
use jwt_simple::prelude::{
    Claims as SimpleClaims, Ed25519KeyPair, EdDSAKeyPairLike as _, EdDSAPublicKeyLike as _,
    JWTClaims, UnixTimeStamp,
};
use mintage_benches::{
    Failure,
    tokens::{SEED, Sample},
};
use pasetors::{
    claims::{Claims as PasetoClaims, ClaimsValidationRules},
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    public,
    token::UntrustedToken,
    version4::V4,
};

use crate::said::{Own, Said};

/// jsonwebtoken.
pub(crate) struct JsonWebToken {
    header: jsonwebtoken::Header,
    said: Said,
    private: jsonwebtoken::EncodingKey,
    public: jsonwebtoken::DecodingKey,
    validation: jsonwebtoken::Validation,
}

impl JsonWebToken {
    pub(crate) fn new(sample: &Sample, said: &Said) -> Result<Self, Failure> {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(sample.key.key_ref().kid.to_string());
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        validation.set_issuer(&[&said.iss]);
        validation.set_audience(&[&said.aud]);
        Ok(Self {
            header,
            said: said.clone(),
            private: jsonwebtoken::EncodingKey::from_ed_der(sample.raw.to_pkcs8_der()?.as_bytes()),
            public: jsonwebtoken::DecodingKey::from_ed_der(sample.raw.verifying_key().as_bytes()),
            validation,
        })
    }

    pub(crate) fn mint(&self) -> Result<String, Failure> {
        Ok(jsonwebtoken::encode(&self.header, &self.said, &self.private)?)
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Said, Failure> {
        Ok(jsonwebtoken::decode(token, &self.public, &self.validation)?.claims)
    }
}

/// jwt-simple.
pub(crate) struct JwtSimple {
    key: Ed25519KeyPair,
    claims: JWTClaims<Own>,
}

impl JwtSimple {
    pub(crate) fn new(sample: &Sample, said: &Said) -> Result<Self, Failure> {
        let key = Ed25519KeyPair::from_bytes(&sample.raw.to_keypair_bytes())?;
        let hour = jwt_simple::prelude::Duration::from_hours(1);
        let mut claims = SimpleClaims::with_custom_claims(said.own(), hour)
            .with_issuer(&said.iss)
            .with_audience(&said.aud)
            .with_subject(&said.sub)
            .with_jwt_id(&said.jti);
        claims.issued_at = Some(UnixTimeStamp::from_secs(said.iat));
        claims.expires_at = Some(UnixTimeStamp::from_secs(said.exp));
        claims.invalid_before = None;
        Ok(Self { key: key.with_key_id(&sample.key.key_ref().kid.to_string()), claims })
    }

    pub(crate) fn mint(&self) -> Result<String, Failure> {
        Ok(self.key.sign(self.claims.clone())?)
    }

    pub(crate) fn check(&self, said: &Said) -> Result<(), Failure> {
        let options = jwt_simple::prelude::VerificationOptions {
            accept_future: true,
            ..jwt_simple::prelude::VerificationOptions::default()
        };
        let read = self.key.public_key().verify_token::<Own>(&self.mint()?, Some(options))?;
        same(read.custom == said.own() && read.jwt_id.as_ref() == Some(&said.jti))
    }
}

/// pasetors: v4.public.
pub(crate) struct Pasetors {
    private: AsymmetricSecretKey<V4>,
    public: AsymmetricPublicKey<V4>,
    claims: PasetoClaims,
}

impl Pasetors {
    pub(crate) fn new(sample: &Sample, said: &Said) -> Result<Self, Failure> {
        let mut claims = PasetoClaims::new()?;
        claims.issuer(&said.iss)?;
        claims.audience(&said.aud)?;
        claims.subject(&said.sub)?;
        claims.token_identifier(&said.jti)?;
        // Its instants are RFC 3339, and it checks them.
        claims.issued_at("2020-01-15T08:00:00Z")?;
        claims.not_before("2020-01-15T08:00:00Z")?;
        claims.expiration("2096-01-15T09:00:00Z")?;
        if let serde_json::Value::Object(own) = serde_json::to_value(said.own())? {
            for (name, value) in own {
                claims.add_additional(&name, value)?;
            }
        }
        Ok(Self {
            private: AsymmetricSecretKey::from(&sample.raw.to_keypair_bytes())?,
            public: AsymmetricPublicKey::from(sample.raw.verifying_key().as_bytes())?,
            claims,
        })
    }

    pub(crate) fn mint(&self) -> Result<String, Failure> {
        Ok(public::sign(&self.private, &self.claims, None, None)?)
    }

    pub(crate) fn check(&self, said: &Said) -> Result<(), Failure> {
        let token = UntrustedToken::try_from(&self.mint()?)?;
        let rules = ClaimsValidationRules::new();
        let read = public::verify(&self.public, &token, &rules, None, None)?;
        let id = read.payload_claims().and_then(|claims| claims.get_claim("jti"));
        same(id.and_then(serde_json::Value::as_str) == Some(&said.jti))
    }
}

/// josekit.
pub(crate) struct Josekit {
    header: JwsHeader,
    payload: JwtPayload,
    signer: EddsaJwsSigner,
    verifier: EddsaJwsVerifier,
}

impl Josekit {
    pub(crate) fn new(sample: &Sample, said: &Said) -> Result<Self, Failure> {
        let mut header = JwsHeader::new();
        header.set_token_type("at+jwt");
        header.set_key_id(sample.key.key_ref().kid.to_string());
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let mut payload = JwtPayload::new();
        payload.set_issuer(&said.iss);
        payload.set_audience(vec![&said.aud]);
        payload.set_subject(&said.sub);
        payload.set_jwt_id(&said.jti);
        payload.set_issued_at(&at(said.iat));
        payload.set_expires_at(&at(said.exp));
        if let serde_json::Value::Object(own) = serde_json::to_value(said.own())? {
            for (name, value) in own {
                payload.set_claim(&name, Some(value))?;
            }
        }
        // OpenSSL reads the form without the public half.
        let private = ed25519_dalek::pkcs8::KeypairBytes { secret_key: SEED, public_key: None };
        Ok(Self {
            header,
            payload,
            signer: EdDSA.signer_from_der(private.to_pkcs8_der()?.as_bytes())?,
            verifier: EdDSA
                .verifier_from_der(sample.raw.verifying_key().to_public_key_der()?.as_bytes())?,
        })
    }

    pub(crate) fn mint(&self) -> Result<String, Failure> {
        Ok(jwt::encode_with_signer(&self.payload, &self.header, &self.signer)?)
    }

    pub(crate) fn check(&self, said: &Said) -> Result<(), Failure> {
        let (read, _) = jwt::decode_with_verifier(self.mint()?, &self.verifier)?;
        same(read.jwt_id() == Some(&said.jti) && read.claim("acr").is_some())
    }
}

/// biscuit-auth: a fact for each claim.
pub(crate) struct Biscuit {
    root: biscuit_auth::KeyPair,
    facts: biscuit_auth::BiscuitBuilder,
}

impl Biscuit {
    pub(crate) fn new(said: &Said) -> Result<Self, Failure> {
        let private = biscuit_auth::PrivateKey::from_bytes(&SEED, BiscuitAlgorithm::Ed25519)?;
        let mut facts = biscuit_auth::Biscuit::builder();
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::Object(party) => {
                party.values().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        if let serde_json::Value::Object(claims) = serde_json::to_value(said)? {
            for (name, value) in claims {
                facts = facts.fact(&*format!("{name}({})", text(&value)))?;
            }
        }
        Ok(Self { root: biscuit_auth::KeyPair::from(&private), facts })
    }

    pub(crate) fn mint(&self) -> Result<String, Failure> {
        Ok(self.facts.clone().build(&self.root)?.to_base64()?)
    }

    pub(crate) fn check(&self, said: &Said) -> Result<(), Failure> {
        let read = biscuit_auth::Biscuit::from_base64(self.mint()?, self.root.public())?;
        same(read.print_block_source(0)?.contains(&format!("jti(\"{}\")", said.jti)))
    }
}

fn same(is_same: bool) -> Result<(), Failure> {
    if is_same { Ok(()) } else { Err("a peer's token says something else".into()) }
}
