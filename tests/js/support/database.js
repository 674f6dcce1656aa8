// A look into the private database, for what has no route of its own.
import { join } from 'node:path';
import pg from 'pg';

/** Runs `work` with a connection to the server's database. */
export async function withDatabase(server, work) {
  const database = new pg.Client({ host: join(server.dir, 'socket'), user: 'horsetrust', database: 'horsetrust' });
  await database.connect();
  try {
    return await work(database);
  } finally {
    await database.end();
  }
}

export async function query(server, sql, values) {
  return withDatabase(server, async (database) => (await database.query(sql, values)).rows);
}

/** Who waits for a lock, asked on a connection that may be within a transaction. */
export async function waitingForLocks(database) {
  await database.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await database.query(`
    SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`);
  return rows;
}

/** How many messages a conversation holds, whatever the server would show. */
export async function storedCount(server, conversation) {
  const sql = `SELECT count(*)::int AS n FROM messages WHERE conversation_id = decode($1, 'hex')`;
  return (await query(server, sql, [conversation]))[0].n;
}

/** Soft-deletes a message. */
export async function markDeleted(server, message) {
  await query(server, `UPDATE messages SET deleted_at = now() WHERE id = decode($1, 'hex')`, [message]);
}
