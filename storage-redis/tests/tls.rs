//! TLS, with a certificate that these tests make: a store trusts whom the operating system trusts.
//!
//! Whom it trusts is a matter of the environment, so that each store has a process of its own: this
//! program, run once more for its test [`spends_a_token`].

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mintage::{
    TokenStore as _,
    grant::{Redemption, Strength},
};
use mintage_storage_redis::RedisStore;
use tempfile::TempDir;

use self::rig::{Server, deadline, field::Field, free_port, once_more, run, said, say};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_system_trusts_is_spoken_to() {
    let encrypted = Encrypted::start().await;
    let secret = "mintage:hunter2@";
    let said = spend(&format!("rediss://{secret}localhost:{}", encrypted.port), &encrypted.own);
    assert_eq!(said, "spent", "by its name");
    let said = spend(&format!("rediss://{secret}127.0.0.1:{}", encrypted.port), &encrypted.own);
    assert_eq!(said, "spent", "by its number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_trusts_is_not() {
    let encrypted = Encrypted::start().await;
    let url = format!("rediss://mintage:hunter2@localhost:{}", encrypted.port);
    let said = spend(&url, &encrypted.strangers);
    assert!(said.contains("certificate") && !said.contains("hunter2"), "{said}");
    // Nor one that goes by another name than it was asked for.
    let url = format!("rediss://mintage:hunter2@127.0.0.2:{}", encrypted.port);
    let said = spend(&url, &encrypted.own);
    assert!(said.contains("certificate"), "{said}");
    // Nor one that speaks no TLS at all.
    let url = format!("rediss://mintage:hunter2@localhost:{}", encrypted.server.port());
    let said = spend(&url, &encrypted.own);
    assert!(said.contains("no connection"), "{said}");
}

/// A server that speaks TLS at one port, and not at the other.
struct Encrypted {
    server: Server,
    port: u16,
    own: PathBuf,
    strangers: PathBuf,
    _folder: TempDir,
}

impl Encrypted {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (own, strangers) =
            (certificate(folder.path(), "own"), certificate(folder.path(), "strangers"));
        let port = free_port();
        let file = own.display();
        let settings = [
            format!("bind 127.0.0.1 127.0.0.2\ntls-port {port}\ntls-auth-clients no"),
            format!("tls-cert-file {file}\ntls-key-file {file}.key\ntls-ca-cert-file {file}"),
            "user mintage on >hunter2 ~* +@all".to_owned(),
        ];
        let server = Server::start(&settings.each_ref().map(String::as_str)).await;
        Self { server, port, own, strangers, _folder: folder }
    }
}

/// A certificate that signs itself, for this machine; its key lies beside it.
fn certificate(folder: &Path, name: &str) -> PathBuf {
    let certificate = folder.join(name);
    let mut made = Command::new("openssl");
    made.args("req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=localhost".split(' '))
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(format!("{}.key", certificate.display()))
        .arg("-out")
        .arg(&certificate);
    run(&mut made);
    certificate
}

/// What a store says at that address that trusts that certificate.
fn spend(url: &str, trusts: &Path) -> String {
    let child = once_more("spends_a_token")
        .env("MINTAGE_TLS_SERVER", url)
        .env("SSL_CERT_FILE", trusts)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    output.lines().find_map(said).unwrap_or_else(|| panic!("{output}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the tests above"]
async fn spends_a_token() {
    let Ok(url) = env::var("MINTAGE_TLS_SERVER") else { return };
    let address = url.parse().unwrap();
    let store = match RedisStore::connect(address, deadline(2_000)).await {
        Ok(store) => store,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let deeper = std::error::Error::source(&error).and_then(std::error::Error::source);
            return say(&format!("{error}{}{deeper:?}", cause.unwrap_or_default()));
        }
    };
    let field = Field::new("encrypted");
    drop(store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap());
    let spent = store.redeem(&field.redeem(0, 0), &field.cx).await.unwrap();
    match spent {
        Redemption::Redeemed { .. } => say("spent"),
        other => say(&format!("{other:?}")),
    }
}
