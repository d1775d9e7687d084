// What the modules use of the vendored libraries, under one name.
export * from '../vendor/preact.js';
