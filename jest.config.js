export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {jsc: {parser: {syntax: 'typescript'}, target: 'es2022'}, module: {type: 'commonjs'}},
    ],
  },
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/consumers/'],
  // tfjs keeps one heap a process: two workers are two heaps.
  maxWorkers: 2,
  testTimeout: 120_000,
};
