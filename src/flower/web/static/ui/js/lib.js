// Re-exports the vendored Preact, signals and htm.
export * from '../vendor/preact.js';
