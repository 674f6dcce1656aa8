// The types of the vendored client are those of its package, which the tests install.
export * from 'socket.io-client';
