//! MongoDB's ObjectIds: 24 hex characters on the wire, 12 bytes in Postgres.

use std::{
    error::Error,
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use bytes::BytesMut;
use chrono::Utc;
use serde::{Serialize, Serializer};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId([u8; 12]);

/// The five bytes of this process, and where its counter starts.
static SEED: LazyLock<[u8; 8]> = LazyLock::new(|| {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("the system has random bytes");
    seed
});
static COUNTER: LazyLock<AtomicU32> =
    LazyLock::new(|| AtomicU32::new(u32::from_be_bytes([0, SEED[5], SEED[6], SEED[7]])));

impl ObjectId {
    /// Seconds, five random bytes of this process, and a counter.
    pub fn new() -> Self {
        let mut id = [0; 12];
        let seconds = u32::try_from(Utc::now().timestamp()).unwrap_or(u32::MAX);
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&SEED[..5]);
        id[9..].copy_from_slice(&COUNTER.fetch_add(1, Relaxed).to_be_bytes()[1..]);
        Self(id)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 12];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 24];
        hex::encode_to_slice(self.0, &mut text).expect("24 characters are two for each byte");
        f.write_str(str::from_utf8(&text).expect("hex is ASCII"))
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for ObjectId {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.as_slice().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for ObjectId {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(<&[u8]>::from_sql(ty, raw)?.try_into()?))
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as FromSql>::accepts(ty)
    }
}
