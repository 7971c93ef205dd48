//! A line to a primary: one connection, made anew when it is lost.
//!
//! The redis crate's connection is a handle and a driver, which writes what the handle is given and
//! reads the answers. Usually the driver is a task of its own; here the worker that owns the line
//! drives it while it waits, which spares two changes of tasks for each pipeline.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value,
    aio::MultiplexedConnection, cmd,
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    address::{Address, Host},
    fault::{Fault, Then},
};

/// What all lines of a store share.
#[derive(Clone)]
pub(crate) struct Trunk {
    login: RedisConnectionInfo,
    tls: Option<Tls>,
    pub(crate) deadline: Duration,
}

/// Whom a line leads to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Server(Host),
    /// Whom these sentinels name as the service's primary.
    Primary {
        sentinels: Arc<[Host]>,
        service: Arc<str>,
    },
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk").finish_non_exhaustive()
    }
}

impl Trunk {
    pub(crate) fn new(address: &Address, deadline: Duration) -> Result<Self, Fault> {
        let mut login =
            RedisConnectionInfo::default().set_db(address.database.into()).set_skip_set_lib_name();
        if let Some(user) = &address.user {
            login = login.set_username(user);
        }
        if let Some(password) = &address.password {
            login = login.set_password(password.expose());
        }
        let tls = address.tls.then(Tls::new).transpose()?;
        Ok(Self { login, tls, deadline })
    }

    /// A connection to that server, which may be a replica.
    pub(crate) async fn connect(&self, host: &Host) -> Result<Connection, Fault> {
        self.connect_as(host, &self.login).await
    }

    async fn connect_as(
        &self,
        host: &Host,
        login: &RedisConnectionInfo,
    ) -> Result<Connection, Fault> {
        let stream = TcpStream::connect((host.name.as_str(), host.port)).await;
        let stream = stream.map_err(Fault::unreachable)?;
        stream.set_nodelay(true).map_err(Fault::unreachable)?;
        match &self.tls {
            None => Connection::over(login, stream).await,
            Some(tls) => Connection::over(login, tls.connect(host, stream).await?).await,
        }
    }

    /// The server that is the target now. Each sentinel is given so long to say it.
    pub(crate) async fn find(&self, target: &Target, patience: Duration) -> Result<Host, Fault> {
        let (sentinels, service) = match target {
            Target::Server(host) => return Ok(host.clone()),
            Target::Primary { sentinels, service } => (sentinels, service),
        };
        let mut last = Fault::unchanged("no sentinel knows the primary", Then::Elsewhere);
        for sentinel in sentinels.iter() {
            let asked = async {
                let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
                let mut connection = self.connect_as(sentinel, &nobody).await?;
                let mut question = cmd("SENTINEL");
                question.arg("GET-MASTER-ADDR-BY-NAME").arg(&**service);
                connection.ask(question).await
            };
            match timeout(patience, asked).await {
                Ok(Ok(answer)) => {
                    let answer: Option<(String, u16)> =
                        redis::from_redis_value(answer).unwrap_or_default();
                    if let Some((name, port)) = answer {
                        return Ok(Host::told(&name, port, sentinel));
                    }
                }
                Ok(Err(fault)) => last = fault,
                Err(_) => last = Fault::unreachable("a sentinel does not answer"),
            }
        }
        Err(last)
    }
}

/// A connection that is set up.
pub(crate) struct Connection {
    handle: MultiplexedConnection,
    /// Nothing once it has ended.
    driver: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Connection {
    async fn over<S>(login: &RedisConnectionInfo, stream: S) -> Result<Self, Fault>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        // Deadlines are the lanes' business.
        let patient =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(login, stream, patient).await;
        let (handle, driver) = made.map_err(|error| Fault::connecting(&error))?;
        Ok(Self { handle, driver: Some(Box::pin(driver)) })
    }

    /// Sends all that and waits for that many answers.
    pub(crate) async fn send(
        &mut self,
        pipeline: &Pipeline,
        answers: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let Self { handle, driver } = self;
        let mut sent = pin!(handle.send_packed_commands(pipeline, 0, answers));
        poll_fn(|cx| {
            if let Poll::Ready(answered) = sent.as_mut().poll(cx) {
                return Poll::Ready(answered);
            }
            drive(driver, cx);
            sent.as_mut().poll(cx)
        })
        .await
    }

    /// One question, whose answer changes nothing.
    pub(crate) async fn ask(&mut self, question: Cmd) -> Result<Value, Fault> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(question);
        let answers = self.send(&pipeline, 1).await;
        match answers.map_err(|error| Fault::connecting(&error))?.pop() {
            Some(Value::ServerError(error)) => Err(Fault::of(&error)),
            Some(answer) => Ok(answer),
            None => Err(Fault::unreachable("no answer")),
        }
    }
}

/// Whether the connection still lives.
fn drive(
    driver: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    cx: &mut Context<'_>,
) -> bool {
    if let Some(driving) = driver
        && driving.as_mut().poll(cx).is_ready()
    {
        *driver = None;
    }
    driver.is_some()
}

/// A way to one primary, and at times a connection.
pub(crate) struct Line {
    trunk: Trunk,
    target: Target,
    connection: Option<Connection>,
    /// How often in a row nothing was answered at all.
    hung: u32,
}

impl Line {
    pub(crate) fn new(trunk: Trunk, target: Target) -> Self {
        Self { trunk, target, connection: None, hung: 0 }
    }

    /// How long to wait for a connection, or an answer: longer each time in a row that none came. A
    /// server that hangs is so left with few connections.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        usual * (1 << self.hung.min(5))
    }

    /// Sees to it that there is a connection, and to a primary.
    pub(crate) async fn ready(&mut self) -> Result<&mut Connection, Fault> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn connect(&mut self) -> Result<Connection, Fault> {
        // A sentinel that hangs leaves time for the others.
        let host = self.trunk.find(&self.target, self.trunk.deadline / 4).await?;
        let mut connection = self.trunk.connect(&host).await?;
        // A server that hangs has answered nothing so far: nothing is sent to it in vain.
        let mut question = cmd("INFO");
        question.arg("replication");
        let info = redis::from_redis_value::<String>(connection.ask(question).await?);
        let info = info.map_err(Fault::unreachable)?;
        if field(&info, "role") == Some("slave") {
            return Err(Fault::unchanged("the server is a replica", Then::Elsewhere));
        }
        Ok(connection)
    }

    /// Drives the connection while nothing is under way on it, so that its end is noticed before
    /// something is sent.
    pub(crate) fn idle(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && !drive(&mut connection.driver, cx)
        {
            self.connection = None;
        }
    }

    /// The server answers.
    pub(crate) fn answered(&mut self) {
        self.hung = 0;
    }

    pub(crate) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Nothing has been answered for long.
    pub(crate) fn give_up(&mut self) {
        self.connection = None;
        self.hung = self.hung.saturating_add(1);
    }
}

/// A field of what `INFO` tells.
pub(crate) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let mut fields = info.lines().filter_map(|line| line.trim_end().split_once(':'));
    fields.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(feature = "tls")]
#[derive(Clone)]
struct Tls(tokio_rustls::TlsConnector);

#[cfg(feature = "tls")]
impl Tls {
    /// The roots are those of the operating system.
    fn new() -> Result<Self, Fault> {
        use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

        let failed = |cause: &dyn fmt::Display| {
            Fault::unchanged("TLS cannot be set up", Then::Tell).because(cause)
        };
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(failed(&"the operating system has no root certificates"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(tokio_rustls::TlsConnector::from(Arc::new(config))))
    }

    async fn connect(
        &self,
        host: &Host,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Fault> {
        use tokio_rustls::rustls::pki_types::ServerName;

        let name = ServerName::try_from(host.name.clone()).map_err(Fault::unreachable)?;
        self.0.connect(name, stream).await.map_err(Fault::unreachable)
    }
}

/// There is none in this build: no address asks for it.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
enum Tls {}

#[cfg(not(feature = "tls"))]
impl Tls {
    fn new() -> Result<Self, Fault> {
        Err(Fault::unchanged("this build has no TLS: enable the feature `tls`", Then::Tell))
    }

    #[expect(clippy::unused_async, reason = "as with TLS")]
    async fn connect(&self, _: &Host, _: TcpStream) -> Result<TcpStream, Fault> {
        match *self {}
    }
}
