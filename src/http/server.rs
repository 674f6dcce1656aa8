//! The listener: actix-web's HTTP, and the hook that every upgrade request goes through.
//!
//! The hook bypasses the App's middleware; what it lets through to Engine.IO it has checked itself. Upgrades for other
//! paths are put back together and go to a second HTTP service over the same App that has no hook, so that plain
//! WebSocket routes work on the same port.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    time::Duration,
};

use actix_codec::Framed;
use actix_http::{HttpService, Protocol, Request, error::DispatchError, h1};
use actix_server::{Server, ServerHandle};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actors::Gauge;
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};

use crate::socket_io::{self, PrefixedStream, upgrade};

use super::{App, application, door, patience::PatientStream};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle keep-alive connection stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Connections that wait to be accepted; the kernel takes its own limit (`net.core.somaxconn`) where that is lower.
/// Beyond them, connecting clients are not answered and try again after a second.
const BACKLOG: i32 = 4096;

/// Binds the port.
///
/// # Errors
/// It is taken, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As the standard library does: a server that starts again need not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A server that listens.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// Stops it.
    pub handle: ServerHandle,
    /// Is ready when it has ended: stopped, or failed.
    pub ended: JoinHandle<io::Result<()>>,
}

/// Listens with as many workers as asked for; each enters the chat before its first connection. Must be called in an actix
/// system.
///
/// # Errors
/// The system refuses.
pub fn listen(app: &App, listener: TcpListener, workers: usize) -> io::Result<Listening> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let app = app.clone();
    let server = Server::build()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(1)
        // Those beyond what the package lets in would hang; here they are told.
        .max_concurrent_connections(u32::MAX as usize)
        .listen("chat", listener, move || service(app.clone()))?
        .run();
    let handle = server.handle();
    // It begins to accept when it is polled.
    let ended = actix::spawn(server);
    Ok(Listening { address, handle, ended })
}

fn service(
    app: App,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    app.chat.enter_worker();
    let admission = app.clone();
    let hook = {
        let app = app.clone();
        fn_factory(move || upgrades(app.clone()))
    };
    let http = HttpService::build()
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        // A long poll whose client went away must not take the packets of the next one.
        .h1_allow_half_closed(false)
        .on_connect_ext(|stream: &PatientStream, held| {
            held.insert(stream.turn());
        })
        .upgrade(hook)
        .finish(map_config(
            application!(app).into_factory().map_err(|error: actix_web::Error| error.error_response()),
            |()| AppConfig::default(),
        ));
    fn_service(move |stream: TcpStream| admit(admission.clone(), stream)).and_then(http)
}

/// A connection as it is served, when the chat is open and the connection's turn has come; none if there is no place for it.
async fn admit(app: App, stream: TcpStream) -> Result<Accepted, DispatchError> {
    app.chat.opened().await;
    let peer = stream.peer_addr().ok();
    let Ok(place) = app.places[0].take(app.proxies.peer(peer)) else {
        app.chat.counters().add(Gauge::Refused);
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    };
    door::arrive().await;
    if opens_session(&stream).await? {
        door::enter().await;
    }
    stream.set_nodelay(true)?;
    Ok((PatientStream::new(stream, place), Protocol::Http1, peer))
}

/// Whether a connection's first request opens a Socket.IO session. Only looked at: a request that is read and parsed has
/// cost half of what the door is there for.
///
/// # Errors
/// Not a byte comes in time, or the connection is over.
async fn opens_session(stream: &TcpStream) -> io::Result<bool> {
    let mut begins = [0; 128];
    let count = timeout(HEAD_TIMEOUT, stream.peek(&mut begins)).await??;
    Ok(socket_io::begins_session(&begins[..count]))
}

/// The hook for upgrade requests, one a worker.
async fn upgrades(
    app: App,
) -> Result<impl Service<(Request, Framed<PatientStream, h1::Codec>), Response = (), Error = actix_web::Error>, ()> {
    let plain = HttpService::build()
        .client_request_timeout(HEAD_TIMEOUT)
        .h1_allow_half_closed(false)
        .on_connect_ext(|stream: &PrefixedStream<PatientStream>, held| {
            held.insert(stream.get_ref().turn());
        })
        .finish(map_config(
            application!(app.clone()).into_factory().map_err(|error: actix_web::Error| error.error_response()),
            |()| AppConfig::default(),
        ));
    let plain: Rc<_> = ServiceFactory::<Connection>::new_service(&plain, ()).await?.into();
    Ok(fn_service(move |(request, framed): (Request, Framed<PatientStream, h1::Codec>)| {
        let (app, plain) = (app.clone(), plain.clone());
        async move {
            if socket_io::is_engine_path(request.path()) {
                return upgrade::accept(&app, &request, framed).await;
            }
            let peer = request.head().peer_addr;
            let parts = framed.into_parts();
            let again = upgrade::encode_head(&request, &parts.read_buf);
            let stream = PrefixedStream::new(parts.io.served(), again);
            // The service has logged what went wrong with the connection; it is over either way.
            let _ = plain.call((stream, Protocol::Http1, peer)).await;
            Ok(())
        }
    }))
}

/// What an HTTP service takes: a new connection, or one that goes on.
type Accepted = (PatientStream, Protocol, Option<SocketAddr>);
type Connection = (PrefixedStream<PatientStream>, Protocol, Option<SocketAddr>);
