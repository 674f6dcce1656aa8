//! A proxy that drops, repeats or swaps one frame of a WebSocket.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use super::relay::relay;

/// What happens to one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mischief {
    Drop,
    Repeat,
    Swap,
}

/// A proxy that meddles with one frame of the server, the tenth whose text begins so.
pub(crate) fn meddling_proxy(server: SocketAddr, mischief: Mischief, begins: &'static str) -> SocketAddr {
    let left = Mutex::new(10);
    relay(server, Arc::default(), move |server, client| {
        // Whichever side ends first, the connection is over.
        let _ = meddle(server, client, &left, mischief, begins);
    })
}

fn meddle(
    mut server: &TcpStream,
    mut client: &TcpStream,
    left: &Mutex<u32>,
    mischief: Mischief,
    begins: &str,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    client.write_all(&head)?;
    if !head.starts_with(b"HTTP/1.1 101") {
        return std::io::copy(&mut server, &mut client).map(drop);
    }
    let mut held: Option<Vec<u8>> = None;
    loop {
        let frame = read_frame(server)?;
        let text = if frame[1] < 126 { &frame[2..] } else { &frame[4..] };
        let is_meant = text.starts_with(begins.as_bytes());
        if let Some(held) = held.take_if(|_| is_meant) {
            client.write_all(&frame)?;
            client.write_all(&held)?;
            continue;
        }
        let is_it = is_meant && {
            let mut left = left.lock().expect("no panic");
            *left = left.wrapping_sub(1);
            *left == 0
        };
        match mischief {
            Mischief::Drop if is_it => continue,
            Mischief::Repeat if is_it => client.write_all(&frame)?,
            Mischief::Swap if is_it => {
                held = Some(frame);
                continue;
            }
            _ => (),
        }
        client.write_all(&frame)?;
    }
}

/// One short or medium frame of a server, as it is.
fn read_frame(mut server: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    server.read_exact(&mut frame)?;
    let length = match frame[1] {
        short @ 0..=125 => usize::from(short),
        126 => {
            let mut length = [0; 2];
            server.read_exact(&mut length)?;
            frame.extend(length);
            usize::from(u16::from_be_bytes(length))
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    let head = frame.len();
    frame.resize(head + length, 0);
    server.read_exact(&mut frame[head..])?;
    Ok(frame)
}
