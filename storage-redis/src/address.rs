//! Where the servers are, and as whom to go there.

use std::{fmt, str::FromStr, sync::Arc};

use mintage::SecretText;

/// Where the servers are, and as whom to go there:
///
/// | text | means |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one server; user, password, port and database can be left out |
/// | `redis-cluster://user:password@host:6379,host:6379` | a cluster; any of its nodes will do |
/// | `redis-sentinel://user:password@host:26379,host:26379/service/0` | the primary that these sentinels name; user and password are those of the servers |
///
/// `rediss`, `rediss-cluster` and `rediss-sentinel` are the same by TLS (feature `tls`). A user or a
/// password is percent-encoded where it holds `@`, `:`, `/` or `%`.
#[derive(Clone)]
pub struct Address {
    pub(crate) place: Place,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Arc<SecretText>>,
    pub(crate) database: u16,
}

/// What there is at the hosts that an address names.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Server(Host),
    Cluster(Vec<Host>),
    Sentinels(Vec<Host>, String),
}

/// A name, or an IP address, and a port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl fmt::Debug for Address {
    /// Neither user nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// A text is not an address. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidAddress(&'static str);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not an address of Redis: {}; write redis://user:password@host:port/database, \
             redis-cluster://host:port,host:port or redis-sentinel://host:port,host:port/service, \
             with `rediss` for TLS",
            self.0
        )
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = InvalidAddress;
        let (scheme, rest) = text.split_once("://").ok_or(wrong("it has no scheme"))?;
        if rest.contains(['?', '#']) {
            return Err(wrong("`?` and `#` have no meaning in it, and are percent-encoded"));
        }
        let (kind, tls) = match scheme.split_once('-') {
            Some(("redis", kind)) => (kind, false),
            Some(("rediss", kind)) => (kind, true),
            None if scheme == "redis" => ("", false),
            None if scheme == "rediss" => ("", true),
            _ => return Err(wrong("its scheme is unknown")),
        };
        if tls && !cfg!(feature = "tls") {
            return Err(wrong("this build has no TLS: enable the feature `tls`"));
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = hosts.rsplit_once('@').map_or((None, hosts), |(l, h)| (Some(l), h));
        let (user, password) = match login {
            None => (None, None),
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (decoded(user)?, decoded(password)?)
            }
        };
        let password = password.map(|password| Arc::new(SecretText::new(password)));
        if user.is_some() && password.is_none() {
            return Err(wrong("a user needs a password"));
        }
        let port = if kind == "sentinel" { 26_379 } else { 6379 };
        let mut hosts = hosts.split(',').map(|host| Host::parse(host, port));
        let first = hosts.next().ok_or(wrong("it names no host"))??;
        let others = hosts.collect::<Result<Vec<_>, _>>()?;
        let all = || [vec![first.clone()], others.clone()].concat();
        let (place, database) = match kind {
            "" if !others.is_empty() => return Err(wrong("one server has one host")),
            "" => (Place::Server(first), path),
            "cluster" if !cfg!(feature = "cluster") => {
                return Err(wrong("this build knows no cluster: enable the feature `cluster`"));
            }
            "cluster" if !matches!(path, "" | "0") => {
                return Err(wrong("a cluster has no database but 0"));
            }
            "cluster" => (Place::Cluster(all()), ""),
            "sentinel" if !cfg!(feature = "sentinel") => {
                return Err(wrong("this build knows no sentinel: enable the feature `sentinel`"));
            }
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                let service = decoded(service)?.ok_or(wrong("sentinels need a service's name"))?;
                (Place::Sentinels(all(), service), database)
            }
            _ => return Err(wrong("its scheme is unknown")),
        };
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_| wrong("a database is a number"))?,
        };
        Ok(Self { place, tls, user, password, database })
    }
}

impl Host {
    /// `name`, `name:port`, `[address]:port`.
    fn parse(text: &str, port: u16) -> Result<Self, InvalidAddress> {
        let (name, rest) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some(bracketed) => bracketed,
            None => match text.find(':') {
                Some(colon) => text.split_at(colon),
                None => (text, ""),
            },
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| InvalidAddress("a port is a number"))?,
            None if rest.is_empty() => port,
            None => return Err(InvalidAddress("a host is followed by `:` and a port")),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(InvalidAddress("it names no host"));
        }
        Ok(Self { name: name.to_owned(), port })
    }

    /// As a server tells one, of itself or of another: without a name it is where that server is.
    pub(crate) fn told(name: &str, port: u16, by: &Self) -> Self {
        let name = if matches!(name, "" | "?") { &by.name } else { name };
        Self { name: name.to_owned(), port }
    }
}

/// Percent-decoded; nothing where it is empty.
fn decoded(text: &str) -> Result<Option<String>, InvalidAddress> {
    let wrong = InvalidAddress("`%` is followed by two hexadecimal digits, of UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = digit().zip(digit()).ok_or(wrong)?;
                (high * 16 + low).to_le_bytes()[0]
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, InvalidAddress> {
        text.parse()
    }

    #[test]
    fn an_address_tells_the_hosts_the_user_and_the_database() {
        let address = parse("redis://ana:p%40ss%3A@[::1]:7000/3").unwrap();
        let Place::Server(host) = &address.place else { panic!("{address:?}") };
        assert_eq!((host.name.as_str(), host.port), ("::1", 7000));
        assert_eq!(address.user.as_deref(), Some("ana"));
        assert_eq!(address.password.unwrap().expose(), "p@ss:");
        assert_eq!((address.database, address.tls), (3, false));
        let address = parse("redis://:pw@db.example").unwrap();
        assert!(address.user.is_none() && address.password.is_some());
        assert!(matches!(address.place, Place::Server(Host { port: 6379, .. })));
    }

    #[cfg(all(feature = "cluster", feature = "sentinel"))]
    #[test]
    fn a_cluster_and_sentinels_have_many_hosts() {
        let Place::Cluster(hosts) = parse("redis-cluster://a:1,b:2,c").unwrap().place else {
            panic!("no cluster")
        };
        assert_eq!(format!("{hosts:?}"), "[a:1, b:2, c:6379]");
        let address = parse("redis-sentinel://a,b:2/tokens/4").unwrap();
        let Place::Sentinels(hosts, service) = address.place else { panic!("no sentinels") };
        assert_eq!(format!("{hosts:?} {service} {}", address.database), "[a:26379, b:2] tokens 4");
    }

    #[test]
    fn what_is_no_address_is_refused_and_never_repeated() {
        for bad in [
            "",
            "host:6379",
            "http://host",
            "redis-ring://host",
            "redis://",
            "redis://user@host",
            "redis://a,b",
            "redis://host:port",
            "redis://host/one",
            "redis://host?db=1",
            "redis://:hunter2%zz@host",
            "redis-cluster://host/1",
            "redis-sentinel://host",
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("redis://user"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let address = parse("redis://ana:hunter2@host").unwrap();
        let shown = format!("{address:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("ana"), "{shown}");
    }
}
