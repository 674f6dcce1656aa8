//! The streams between a TCP connection and whoever speaks WebSocket on it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use actors::Gate;
use bytes::{Buf, Bytes};
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with bytes that were read before and go first.
pub(crate) struct PrefixedStream<S> {
    stream: S,
    prefix: Bytes,
}

impl<S> PrefixedStream<S> {
    pub(crate) fn new(stream: S, prefix: Bytes) -> Self {
        Self { stream, prefix }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PrefixedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            let count = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PrefixedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Cuts a stream from outside: a writer that is stuck on a client that does not read cannot be stopped otherwise.
#[derive(Debug, Default)]
pub(super) struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Cut {
    /// Every read and write fails from now on.
    pub(super) fn now(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }

    fn check(&self) -> io::Result<()> {
        if self.done.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// What engineioxide reads and writes of a WebSocket that a polling session upgrades to: it is not read while the
/// connection's gate is closed, and it can be cut.
pub(super) struct EngineStream<S> {
    stream: PrefixedStream<S>,
    gate: Arc<Gate>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    cut: Arc<Cut>,
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl<S> EngineStream<S> {
    /// `on_drop` runs when it ends, however it does.
    pub(super) fn new(
        stream: S,
        ahead: Bytes,
        gate: Arc<Gate>,
        cut: Arc<Cut>,
        on_drop: impl FnOnce() + Send + 'static,
    ) -> Self {
        let stream = PrefixedStream::new(stream, ahead);
        Self { stream, gate, waiting: None, cut, on_drop: Some(Box::new(on_drop)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EngineStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.cut.reader.register(cx.waker());
        this.cut.check()?;
        if this.waiting.is_none() && !this.gate.is_open() {
            this.waiting = Some(Box::pin(this.gate.clone().opened()));
        }
        if let Some(waiting) = &mut this.waiting {
            ready!(waiting.as_mut().poll(cx));
            this.waiting = None;
        }
        Pin::new(&mut this.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EngineStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.cut.writer.register(cx.waker());
        this.cut.check()?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.writer.register(cx.waker());
        self.cut.check()?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // engineioxide flushes when its channel is empty.
        self.gate.all_sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> Drop for EngineStream<S> {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.take() {
            on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_read_before_come_first() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"world").await.expect("room for it");
        drop(theirs);
        let mut all = String::new();
        PrefixedStream::new(ours, Bytes::from("hello ")).read_to_string(&mut all).await.expect("text");
        assert_eq!(all, "hello world");
    }

    #[tokio::test]
    async fn a_cut_stream_fails_even_a_writer_that_is_stuck() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let cut = Arc::new(Cut::default());
        let mut stream = EngineStream::new(ours, Bytes::new(), Arc::default(), cut.clone(), || ());
        let stuck = tokio::spawn(async move { stream.write_all(b"more than there is room for").await });
        tokio::task::yield_now().await;
        cut.now();
        assert!(stuck.await.expect("no panic").is_err());
    }

    #[tokio::test]
    async fn a_stream_is_not_read_while_its_gate_is_closed() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"x").await.expect("room for it");
        let gate = Arc::new(Gate::default());
        let permits: Vec<_> = (0..actors::limits::SESSION_IN_FLIGHT).map(|_| gate.enter(1)).collect();
        let mut stream = EngineStream::new(ours, Bytes::new(), gate, Arc::default(), || ());
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        assert!(!reading.is_finished());
        drop(permits);
        assert_eq!(reading.await.expect("no panic").expect("a byte"), b'x');
    }
}
