//! A stream of which something was read before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
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

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, and what was not read yet of the bytes before it.
    pub(super) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.prefix)
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
}
