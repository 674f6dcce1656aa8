//! REST calls, each on a connection that is kept.

use std::{io, net::SocketAddr, num::NonZeroU16, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::failure::Failure;

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// A server that says "after 0 seconds" is not asked in a loop.
pub(crate) const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// For the `Host` header.
    pub(crate) host: String,
}

impl Target {
    /// # Errors
    /// Not an `http://` URL, or its host is not known.
    pub(crate) async fn resolve(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::new(format!("--url {url}: {why}; it must be like http://127.0.0.1:3000"));
        let host = match url.split_once("://") {
            Some(("http", host)) => host.trim_end_matches('/'),
            Some(_) => return Err(wrong("only http is spoken (TLS ends in front of the server)")),
            None => return Err(wrong("http:// is missing")),
        };
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        if host.contains(['/', '?', '#']) {
            return Err(wrong("it has a path, and the server's paths are known: leave it out"));
        }
        let with_port = match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((_, port)) if port.parse::<NonZeroU16>().is_err() => {
                return Err(wrong("no port is like that: 1 to 65535"));
            }
            Some(_) => host.to_owned(),
            None => format!("{host}:80"),
        };
        let found = tokio::net::lookup_host(&with_port).await.ok().and_then(|mut found| found.next());
        let address = found.ok_or_else(|| wrong("the host is not known"))?;
        Ok(Self { address, host: host.to_owned() })
    }
}

/// What the server has to say to a call.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// How long to wait before the same is asked again, if it says so.
    pub(crate) retry_after: Option<Duration>,
}

/// One connection; the next one where the server has ended it with an answer.
pub(crate) struct Rest {
    target: Target,
    connection: Connection,
    /// The last answer was that of a connection that ends with it.
    is_over: bool,
}

struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    async fn open(target: &Target) -> Result<Self, Failure> {
        let reach = |error: io::Error| Failure::cannot_reach(&format_args!("http://{}", target.host), &error);
        let stream = TcpStream::connect(target.address).await.map_err(reach)?;
        stream.set_nodelay(true).map_err(reach)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| reach(io::Error::other(error)))?;
        let driver = tokio::task::spawn_local(async move {
            // What goes wrong with it, the next call says.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }
}

impl Rest {
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        Ok(Self { target: target.clone(), connection: Connection::open(target).await?, is_over: false })
    }

    /// One call.
    ///
    /// # Errors
    /// The connection broke, or the server hangs.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        if self.is_over {
            self.connection = Connection::open(&self.target).await?;
        }
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.target.host);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let broke = |error: &dyn std::fmt::Display| Failure::new(format!("{path}: the connection broke: {error}"));
        let request = request.body(Full::from(body.unwrap_or_default())).map_err(|error| broke(&error))?;
        let answered = async {
            self.connection.sender.ready().await?;
            let answer = self.connection.sender.send_request(request).await?;
            let says = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
            self.is_over = says(header::CONNECTION).is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let seconds = says(header::RETRY_AFTER).and_then(|value| value.parse().ok());
            let (status, retry_after) = (answer.status(), seconds.map(Duration::from_secs));
            let body = answer.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Answer { status, body, retry_after })
        };
        match timeout(CALL_LIMIT, answered).await {
            Ok(answered) => answered.map_err(|error| broke(&error)),
            Err(_) => Err(Failure::new(format!("{path}: no answer after {} s", CALL_LIMIT.as_secs()))),
        }
    }

    /// A call that is not measured: made again after the wait that the server asks for, but not for ever.
    ///
    /// # Errors
    /// The connection broke, or the server hangs.
    pub(crate) async fn call_patiently(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let give_up_at = Instant::now() + CALL_LIMIT;
        loop {
            let answer = self.call(method.clone(), path, token, body.clone()).await?;
            let again_at = answer.retry_after.map(|wait| Instant::now() + wait.max(SHORTEST_WAIT));
            match again_at.filter(|at| !answer.status.is_success() && *at < give_up_at) {
                Some(at) => sleep(at - Instant::now()).await,
                None => return Ok(answer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_has_a_host_and_a_port_that_there_can_be() {
        for (url, host) in
            [("http://127.0.0.1:3000/", "127.0.0.1:3000"), ("http://127.0.0.1", "127.0.0.1"), ("http://[::1]", "[::1]")]
        {
            assert_eq!(Target::resolve(url).await.map(|target| target.host).ok().as_deref(), Some(host));
        }
        for (url, why) in [
            ("https://127.0.0.1", "only http"),
            ("127.0.0.1:3000", "http:// is missing"),
            ("http://", "no host"),
            ("http://127.0.0.1/path", "has a path"),
            ("http://127.0.0.1:70000", "1 to 65535"),
            ("http://127.0.0.1:0", "1 to 65535"),
        ] {
            let refused = Target::resolve(url).await.err().map(|error| error.to_string());
            assert!(refused.as_ref().is_some_and(|refused| refused.contains(why)), "{url}: {refused:?}");
        }
    }
}
