//! Points in time, in whole milliseconds of UTC, as the wire and the database have them.

use std::{error::Error, fmt};

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Serialize, Serializer};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// When years get a fifth digit, in seconds since 1970.
const YEAR_10000: i64 = 253_402_300_800;

/// Shown as `2024-03-15T10:30:00.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Cut to the millisecond, so that what is shown is what is stored.
    pub fn now() -> Self {
        Self(Utc::now().trunc_subsecs(3))
    }

    /// Whole seconds since 1970; what is beyond the year 9999 is its end, what is before 1970 its beginning.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self(DateTime::from_timestamp(seconds.clamp(0, YEAR_10000 - 1), 0).unwrap_or_default())
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// Negative where this one is the earlier.
    pub(crate) fn milliseconds_since(self, other: Self) -> i64 {
        (self.0 - other.0).num_milliseconds()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(3))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.timestamp() {
            // Many are written, and it is five times as fast; but it knows these years only.
            0..YEAR_10000 => humantime::format_rfc3339_millis(self.0.into()).fmt(f),
            _ => f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }
    fn accepts(ty: &Type) -> bool {
        <DateTime<Utc> as ToSql>::accepts(ty)
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        DateTime::from_sql(ty, raw).map(Self::from)
    }
    fn accepts(ty: &Type) -> bool {
        <DateTime<Utc> as FromSql>::accepts(ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_shows_milliseconds_and_z() {
        let time = DateTime::parse_from_rfc3339("2024-03-15T11:30:00.1239+01:00").expect("well-formed");
        assert_eq!(Timestamp::from(time.to_utc()).to_string(), "2024-03-15T10:30:00.123Z");
    }
}
