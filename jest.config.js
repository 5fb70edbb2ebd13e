// Two projects: `npm test` runs both, `npm run test:quick` and `npm run test:sweeps` one of them.

/** What goes through many cases, or starts many processes. */
const SWEEPS = [
  'accuracy',
  'bench',
  'binary',
  'depthwise',
  'fuzz',
  'gradients',
  'kernel',
  'matMul',
  'moves',
  'processes',
  'reduce',
  'resize',
  'specs',
  'stock',
  'training',
  'winograd',
].map((name) => `<rootDir>/test/${name}.test.ts`);

const common = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  // lzma1 has ES modules alone.
  transformIgnorePatterns: ['/node_modules/(?!lzma1/)'],
  transform: {
    '(\\.ts|/lzma1/.+\\.js)$': [
      '@swc/jest',
      {jsc: {parser: {syntax: 'typescript'}, target: 'es2022'}, module: {type: 'commonjs'}},
    ],
  },
};
const NONE_OF_OURS = ['/node_modules/', '<rootDir>/test/consumers/'];

export default {
  projects: [
    {...common, displayName: 'quick', testPathIgnorePatterns: [...NONE_OF_OURS, ...SWEEPS]},
    {...common, displayName: 'sweeps', testPathIgnorePatterns: NONE_OF_OURS, testMatch: SWEEPS},
  ],
  // tfjs keeps one heap a process: two workers are two heaps.
  maxWorkers: 2,
  testTimeout: 120_000,
};
