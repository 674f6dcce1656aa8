// Settings, all from the environment.

const required = (name) => {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} has to be set`);
    process.exit(2);
  }
  return value;
};

export const DATABASE_URL = required('DATABASE_URL');
export const JWT_SECRET = required('JWT_SECRET');
export const HOST = process.env.HOST ?? '127.0.0.1';
export const PORT = Number(process.env.PORT ?? 3000);
/** Connections to Postgres. */
export const POOL_SIZE = Number(process.env.POOL_SIZE ?? 20);
