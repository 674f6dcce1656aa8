//! The keys of tokens, as the settings have them: files, and a secret that is set, or made once and kept.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{signal::unix::Signal, sync::oneshot, time::timeout};

use crate::{
    auth::{Auth, Keys},
    config::Settings,
    postgres::prepare_data_dir,
};

use super::StartError;

/// Shortest secret that nobody can guess (RFC 7518, 3.2), in bytes. Shorter: a warning.
const SECRET_BYTES: usize = 32;
/// Where it is kept, in the data directory.
const SECRET_FILE: &str = "jwt-secret";
/// How long keys may take to be read when that is asked for.
const READING: Duration = Duration::from_secs(10);

/// What does not keep the server from starting, and should not be so.
pub fn warning(settings: &Settings) -> Option<String> {
    let bytes = settings.jwt_secret.as_ref()?.len();
    (bytes < SECRET_BYTES).then(|| format!("JWT_SECRET has {bytes} bytes; {SECRET_BYTES} or more cannot be guessed"))
}

pub(super) fn check_named(settings: &Settings) -> Result<(), StartError> {
    let is_named = settings.jwt_secret.is_some() || settings.key_files().next().is_some();
    if is_named || settings.database_url.is_none() { Ok(()) } else { Err(StartError::NoSecret) }
}

pub(super) fn check_signing(settings: &Settings) -> Result<(), StartError> {
    if has_secret(settings) { Ok(()) } else { Err(StartError::OnlyPublicKeys) }
}

/// Whether a secret is among the keys: one is set, or there are no others.
fn has_secret(settings: &Settings) -> bool {
    settings.jwt_secret.is_some() || settings.key_files().next().is_none()
}

pub(super) fn public(settings: &Settings) -> Result<Keys, StartError> {
    let mut keys = Keys::default();
    for file in settings.key_files() {
        keys.add_file(file)?;
    }
    Ok(keys)
}

/// The keys that tokens are checked with: those of the files, and the secret if one is set or there are no files. One that
/// is kept is made where there is none.
///
/// # Errors
/// A file cannot be read, or has no such keys.
pub(super) fn all(settings: &Settings) -> Result<Keys, StartError> {
    with_secret(settings, || match secret(settings)? {
        Some(secret) => Ok(secret),
        None => make_secret(settings),
    })
}

fn with_secret(settings: &Settings, secret: impl Fn() -> Result<Vec<u8>, StartError>) -> Result<Keys, StartError> {
    let mut keys = public(settings)?;
    if has_secret(settings) {
        keys.add_secret(&secret()?);
    }
    Ok(keys)
}

/// Reads the keys again whenever the process gets SIGHUP. Those that cannot be read leave things as they are.
pub(super) async fn reload(mut hangup: Signal, settings: Settings, auth: Arc<Auth>) {
    while hangup.recv().await.is_some() {
        let (settings, (read, keys)) = (settings.clone(), oneshot::channel());
        // Nothing else waits for a disk, or a network's, that does not answer; nor does the end of the process.
        std::thread::spawn(move || {
            // A new secret in the place of one that is gone would end all sessions.
            let _ = read.send(with_secret(&settings, || existing_secret(&settings)));
        });
        match timeout(READING, keys).await {
            Ok(Ok(Ok(keys))) => {
                tracing::info!(keys = keys.count(), "SIGHUP: tokens are checked with the keys as they are now");
                auth.replace(keys);
            }
            Ok(Ok(Err(error))) => tracing::error!(%error, "SIGHUP: tokens are checked with the same keys as before"),
            Ok(Err(_)) => {
                tracing::error!("SIGHUP: reading the keys failed; tokens are checked with the same as before");
            }
            Err(_) => {
                tracing::error!(
                    "SIGHUP: the keys take too long to be read; tokens are checked with the same as before"
                );
            }
        }
    }
}

/// The secret, to sign tokens with that the server takes.
///
/// # Errors
/// It takes none that are signed with a secret; or there is none yet.
pub fn signing_secret(settings: &Settings) -> Result<Vec<u8>, StartError> {
    check_named(settings)?;
    check_signing(settings)?;
    existing_secret(settings)
}

fn existing_secret(settings: &Settings) -> Result<Vec<u8>, StartError> {
    secret(settings)?.ok_or_else(|| StartError::NoSecretKept(settings.data_dir.display().to_string()))
}

/// The tokens' secret: as configured, else as it is kept in the data directory; `None` if there is none yet.
fn secret(settings: &Settings) -> Result<Option<Vec<u8>>, StartError> {
    if let Some(secret) = &settings.jwt_secret {
        if let Some(warning) = warning(settings) {
            tracing::warn!("{warning}");
        }
        return Ok(Some(secret.clone().into_bytes()));
    }
    let path = settings.data_dir.join(SECRET_FILE);
    let kept = match fs::read(&path) {
        Ok(secret) if secret.len() >= SECRET_BYTES => Ok(Some(secret)),
        Ok(_) => Err(io::Error::other("the file is cut short: restore it, or remove it to have a new one made")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    kept.map_err(|error| StartError::Secret(path.display().to_string(), error))
}

fn make_secret(settings: &Settings) -> Result<Vec<u8>, StartError> {
    prepare_data_dir(&settings.data_dir)?;
    let path = settings.data_dir.join(SECRET_FILE);
    let made = keep_new_secret(&path).map_err(|error| StartError::Secret(path.display().to_string(), error))?;
    tracing::info!(file = %path.display(), "no JWT_SECRET is set: made a random secret and kept it here");
    Ok(made)
}

fn keep_new_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whole or not at all, even when the machine goes down now.
    let unfinished = path.with_extension("new");
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    Ok(secret.into_bytes())
}
