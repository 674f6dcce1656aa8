//! The command line.

use std::{fmt::Display, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use actors::{Profile, UserId, store::Store};
use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{
    auth::{self, Role},
    config::{Overrides, Settings},
    demo, doctor,
    logging::{self, Listeners},
    postgres::PrivatePostgres,
    reference, startup, traces, transfer,
    ways::Ways,
};

/// What the settings stand under in the help.
const CONFIGURATION: &str = "Configuration";
/// The commands that all settings concern.
const OF_SERVERS: [&str; 2] = ["serve", "doctor"];
/// The settings that concern the others.
const OF_COMMANDS: [&str; 5] = ["file", "database_url", "jwt_secret", "data_dir", "log"];

/// Realtime two-party conversations: Socket.IO and REST on Postgres.
///
/// Every option can also be set by the environment variable named beside it or in a configuration file. Flags override
/// environment variables, which override the file.
#[derive(Parser)]
#[command(name = "horsetrust-chat", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten, next_help_heading = CONFIGURATION)]
    overrides: Overrides,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Print the effective configuration, secrets masked, and exit
        #[arg(long)]
        check_config: bool,
        /// Add a few users with conversations, and print tokens and calls to try; not on a database that others use
        ///
        /// Whoever reaches the server can act as these users. They stay in the database, which is the private Postgres
        /// unless DATABASE_URL is set.
        #[arg(long)]
        demo: bool,
    },
    /// Look at configuration, database, limits and clock, and say what to do; changes nothing
    ///
    /// Fails if a server would not start.
    Doctor,
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Print a token for a user, for development
    Token {
        /// The user: 24 hex characters
        #[arg(long, value_parser = user_id)]
        user: UserId,
        /// What the user may do
        #[arg(long, value_enum, default_value = "seller")]
        role: Role,
        /// How long it holds, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 24 * 3600, value_parser = clap::value_parser!(u32).range(1..))]
        ttl: u32,
    },
    /// Take users, conversations and messages of the service before, as mongoexport has written them
    ///
    /// Reads users.json, conversations.json and messages.json (JSON lines or arrays, canonical or relaxed extended JSON);
    /// those that are missing are left out. Can be run again: only what is new is stored then, and what was read or
    /// deleted since becomes so. Documents that are refused are listed in the report, and the others are taken.
    ///
    /// The exit code is 0 when all documents were taken, 3 when some were refused, and 1 when the import failed.
    // Else what is set in the environment seems to be required.
    #[command(override_usage = "horsetrust-chat import --from <DIR> [OPTIONS]")]
    Import {
        /// The directory with the files
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Where to list what is refused
        #[arg(long, value_name = "FILE", default_value = "import-refused.jsonl")]
        report: PathBuf,
    },
    /// Write users, conversations and messages as mongoexport would, all of one moment
    #[command(override_usage = "horsetrust-chat export --to <DIR> [OPTIONS]")]
    Export {
        /// The directory for users.json, conversations.json and messages.json
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Print the API reference, for programs and for generators of clients
    Reference {
        /// Of what
        #[arg(value_enum)]
        document: Document,
    },
    /// Users' profiles
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
}

/// The exit code of an import that refused some documents. Calls that are wrong have 2, and what fails has 1.
const REFUSED: u8 = 3;

/// A part of the API reference.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Document {
    /// The REST calls: OpenAPI 3.1
    Openapi,
    /// The events of sockets: AsyncAPI 3.0
    Asyncapi,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Store a profile, new or changed; running servers show it from then on
    Put(UserPut),
}

#[derive(Args)]
struct UserPut {
    /// The user: 24 hex characters
    #[arg(long, value_parser = user_id)]
    id: UserId,
    /// Shown name
    #[arg(long)]
    full_name: String,
    /// Where the picture is; without it, one that was there is removed
    #[arg(long, value_name = "URL")]
    profile_picture_url: Option<String>,
}

fn user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text).ok_or_else(|| "a user's id has 24 hex characters, like 507f1f77bcf86cd799439011".to_owned())
}

/// Commands that are no server show only the settings that concern them; they know all of them.
fn command_line() -> clap::Command {
    let mut command = Cli::command();
    // Options of all commands are given to each of them.
    command.build();
    let fewer = |one: clap::Command| if OF_SERVERS.contains(&one.get_name()) { one } else { with_fewer_settings(one) };
    names_of_commands(&command).iter().fold(command, |command, name| command.mut_subcommand(name, fewer))
}

fn with_fewer_settings(command: clap::Command) -> clap::Command {
    let is_shown =
        |arg: &Arg| arg.get_help_heading() != Some(CONFIGURATION) || OF_COMMANDS.contains(&arg.get_id().as_str());
    let names = names_of_commands(&command);
    let command = command.mut_args(|arg| if is_shown(&arg) { arg } else { arg.hide(true) });
    names.iter().fold(command, |command, name| command.mut_subcommand(name, with_fewer_settings))
}

fn names_of_commands(command: &clap::Command) -> Vec<String> {
    command.get_subcommands().map(|one| one.get_name().to_owned()).collect()
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command_line().get_matches()).unwrap_or_else(|error| error.exit());
    if let Command::Reference { document } = cli.command {
        return print_reference(document);
    }
    let settings = Settings::load(&cli.overrides);
    if matches!(cli.command, Command::Doctor) {
        return doctor::examine(&settings);
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    if let Command::Serve { check_config: true, demo } = cli.command {
        return check_config(&settings, demo);
    }
    let Listeners { traces, ways } = match logging::start(&settings.log) {
        Ok(listeners) => listeners,
        Err(error) => return fail(&error),
    };
    let done = actix::System::new().block_on(run(cli.command, &settings, ways));
    if let Some(traces) = traces {
        traces.end();
    }
    logging::end();
    done.unwrap_or_else(|error| fail(&error))
}

fn print_reference(document: Document) -> ExitCode {
    let document = match document {
        Document::Openapi => serde_json::to_string_pretty(&reference::openapi()),
        Document::Asyncapi => serde_json::to_string_pretty(&reference::asyncapi()),
    };
    println!("{}", document.expect("documents of strings and numbers always serialize"));
    ExitCode::SUCCESS
}

fn check_config(settings: &Settings, with_demo: bool) -> ExitCode {
    let checked = startup::check(settings, with_demo).map_err(|error| error.to_string());
    if let Err(error) = checked.and_then(|()| traces::collector()) {
        return fail(&error);
    }
    let of_demo = demo::warnings(settings, with_demo).map(str::to_owned);
    for warning in startup::warning(settings).into_iter().chain(of_demo) {
        say(&format_args!("warning: {warning}"));
    }
    // As the server does, so that as many connections are printed as it would take.
    startup::raise_open_files();
    print!("{}", settings.to_toml());
    ExitCode::SUCCESS
}

async fn run(command: Command, settings: &Settings, ways: Ways) -> Result<ExitCode, startup::StartError> {
    match command {
        // Done before anything is started.
        Command::Doctor | Command::Reference { .. } => (),
        Command::Serve { demo, .. } => startup::serve(settings, demo, ways).await?,
        Command::Migrate => {
            let (_, postgres) = startup::open_database_beside(settings).await?;
            println!("the schema of {} is up to date", startup::name_of_database(settings));
            stop(postgres).await;
        }
        Command::Token { user, role, ttl } => {
            let secret = startup::signing_secret(settings)?;
            println!("{}", auth::mint(&secret, user, role, Duration::from_secs(ttl.into())));
        }
        Command::Import { from, report } => {
            let (database, postgres) = existing_database(settings).await?;
            let imported = transfer::import(&database, &from, &report).await;
            stop(postgres).await;
            let imported = imported.map_err(|error| startup::StartError::Other(error.to_string()))?;
            println!("{imported}");
            if imported.refused > 0 {
                return Ok(ExitCode::from(REFUSED));
            }
        }
        Command::Export { to } => {
            let (database, postgres) = existing_database(settings).await?;
            let exported = transfer::export(&database, &to).await;
            stop(postgres).await;
            println!("{}", exported.map_err(|error| startup::StartError::Other(error.to_string()))?);
        }
        Command::User { command: UserCommand::Put(put) } => {
            let profile = Profile::parse(put.id, put.full_name, put.profile_picture_url)
                .map_err(|refusal| startup::StartError::Other(refusal.message.into_owned()))?;
            let (database, postgres) = existing_database(settings).await?;
            let stored = Store::new(&database).put_user(&profile).await;
            stop(postgres).await;
            stored.map_err(|error| startup::StartError::Other(error.to_string()))?;
            println!("stored the profile of {}", profile.id);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which database it is: the settings of another shell may mean another.
async fn existing_database(
    settings: &Settings,
) -> Result<(tokio_postgres::Config, Option<PrivatePostgres>), startup::StartError> {
    let opened = startup::open_existing_database(settings).await?;
    say(&format_args!("the database is {}", startup::name_of_database(settings)));
    Ok(opened)
}

async fn stop(postgres: Option<PrivatePostgres>) {
    if let Some(postgres) = postgres {
        postgres.stop(Duration::from_secs(20)).await;
    }
}

fn fail(error: &dyn Display) -> ExitCode {
    say(error);
    ExitCode::FAILURE
}

/// What a server prints. Nobody may be there to read it, or no place left.
pub(crate) fn print(what: &dyn Display) {
    let line = format!("{what}\n");
    logging::without_waiting(move || {
        if let Err(error) = std::io::stdout().write_all(line.as_bytes()) {
            tracing::warn!(%error, "cannot write to standard output");
        }
    });
}

fn say(what: &dyn Display) {
    let line = format!("horsetrust-chat: {what}\n");
    // Nobody may be there to read it.
    logging::without_waiting(move || drop(std::io::stderr().write_all(line.as_bytes())));
}
