import {defineConfig} from 'tsdown';

export default defineConfig([
  {
    entry: ['src/index.ts'],
    format: ['esm', 'cjs'],
    platform: 'neutral',
    target: 'es2022',
    dts: true,
    logLevel: 'warn',
  },
  // The command. Its command-line libraries are bundled: the package has no dependencies.
  {
    entry: {cli: 'bench/cli.ts'},
    format: 'esm',
    platform: 'node',
    target: 'node20',
    deps: {
      neverBundle: [/^@tensorflow\//, 'tfjs-im2win'],
      alwaysBundle: ['commander', 'cli-progress', 'cli-table3', /^echarts/],
      onlyBundle: false,
    },
    minify: true,
    clean: false,
    dts: false,
    logLevel: 'warn',
  },
]);
