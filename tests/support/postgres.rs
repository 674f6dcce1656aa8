//! The private Postgres behind the server's back: statements of the test's own, and a Postgres that hangs.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls};

use super::DataDir;

/// A connection that blocks.
pub(crate) struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    pub(crate) fn connect(directory: &DataDir) -> Self {
        Self::connect_to(directory, "horsetrust")
    }

    pub(crate) fn connect_to(directory: &DataDir, database: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let mut settings = Config::new();
            settings.host_path(directory.socket()).user("horsetrust").dbname(database);
            let (client, connection) = settings.connect(NoTls).await.expect("the private Postgres");
            tokio::spawn(connection);
            client
        });
        Self { runtime, client }
    }

    pub(crate) fn run(&self, statements: &str) {
        self.runtime.block_on(self.client.batch_execute(statements)).expect(statements);
    }

    /// The processes that serve those whose name begins so, in this database: others of the same Postgres belong to
    /// tests that run beside this one.
    pub(crate) fn connections(&self, application: &str) -> Vec<Pid> {
        let query = "SELECT pid FROM pg_stat_activity
            WHERE starts_with(application_name, $1) AND datname = current_database() ORDER BY backend_start";
        let rows = self.runtime.block_on(self.client.query(query, &[&application])).expect(query);
        rows.iter().map(|row| Pid::from_raw(row.get(0))).collect()
    }

    /// From now on it is seen how connections are set that change rows.
    pub(crate) fn watch_settings(&self) {
        self.run(WITNESS);
    }

    /// Their `synchronous_commit`, `statement_timeout` and `lock_timeout`, behind each table's name, since the last time.
    pub(crate) fn settings_seen(&self) -> Vec<String> {
        let seen = self.text("SELECT string_agg(DISTINCT seen, ',' ORDER BY seen) FROM witness");
        self.run("TRUNCATE witness");
        seen.split(',').map(str::to_owned).collect()
    }

    pub(crate) fn count(&self, query: &str) -> i64 {
        self.runtime.block_on(self.client.query_one(query, &[])).expect(query).get(0)
    }

    pub(crate) fn text(&self, query: &str) -> String {
        self.runtime.block_on(self.client.query_one(query, &[])).expect(query).get(0)
    }
}

/// Keeps how a connection is set that changes a row.
const WITNESS: &str = "
    CREATE TABLE witness (seen text);
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO witness SELECT TG_TABLE_NAME || ': ' || string_agg(current_setting(name), ' ' ORDER BY place)
        FROM unnest(ARRAY['synchronous_commit', 'statement_timeout', 'lock_timeout']) WITH ORDINALITY AS of (name, place);
        RETURN NULL;
    END $$;
    DO $$ DECLARE one text; BEGIN
        FOREACH one IN ARRAY ARRAY['conversations', 'kept_sessions', 'messages', 'revocations', 'server_openings', 'users']
        LOOP
            EXECUTE format('CREATE TRIGGER witness AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION look()', one);
        END LOOP;
    END $$";

/// A Postgres that is stopped and not dead: connections stay open and nothing answers. Dropping it lets it go on.
pub(crate) struct Frozen(Vec<Pid>);

impl Frozen {
    pub(crate) fn freeze(directory: &DataDir) -> Self {
        let postmaster = directory.postmaster().expect("a running Postgres has written its pid");
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
        let children = children.expect("the kernel lists children");
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw);
        // The postmaster first: it starts no further ones meanwhile.
        let processes: Vec<_> = std::iter::once(postmaster).chain(children).collect();
        for process in &processes {
            let _ = kill(*process, Signal::SIGSTOP);
        }
        Self(processes)
    }

    /// The connections only whose name begins so.
    pub(crate) fn connections(sql: &Sql, application: &str) -> Self {
        Self::some_connections(sql, application, usize::MAX)
    }

    /// So many of them, those that were made first.
    pub(crate) fn some_connections(sql: &Sql, application: &str, count: usize) -> Self {
        let mut processes = sql.connections(application);
        processes.truncate(count);
        assert!(!processes.is_empty(), "{application} is connected");
        for process in &processes {
            kill(*process, Signal::SIGSTOP).expect("it is there");
        }
        Self(processes)
    }

    /// They end, without an answer to what they were asked.
    pub(crate) fn end(self) {
        for process in &self.0 {
            // Waits until it goes on.
            kill(*process, Signal::SIGTERM).expect("it is there");
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = kill(*process, Signal::SIGCONT);
        }
    }
}
