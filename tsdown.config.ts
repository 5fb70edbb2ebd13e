import {readFileSync} from 'node:fs';
import {defineConfig} from 'tsdown';
import {licensesPlugin} from './scripts/licenses.ts';
import {workerScriptPlugin} from './scripts/worker-script.ts';

const licenses = licensesPlugin('dist/LICENSES.txt');

// No source maps: what is shipped for bundlers is not minified, and names what it does; a map of
// dist/im2win.min.js would be larger than the script.
export default defineConfig([
  {
    entry: {
      index: 'src/index.ts',
      auto: 'src/auto.ts',
      slim: 'src/slim.ts',
      optimize: 'src/optimize/index.ts',
    },
    format: ['esm', 'cjs'],
    platform: 'neutral',
    target: 'es2022',
    dts: true,
    copy: ['src/wasm/*.wasm'],
    plugins: [licenses, workerScriptPlugin('im2win-worker.js')],
    logLevel: 'warn',
    checks: {pluginTimings: false},
  },
  // For a <script>, beside tfjs's own.
  {
    entry: {'im2win.min': 'src/index.ts'},
    format: 'iife',
    globalName: 'im2win',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    deps: {neverBundle: ['@tensorflow/tfjs-core']},
    outputOptions: {
      entryFileNames: '[name].js',
      globals: {'@tensorflow/tfjs-core': 'tf'},
      banner: readFileSync('scripts/script-banner.js', 'utf8'),
    },
    clean: false,
    dts: false,
    logLevel: 'warn',
    checks: {pluginTimings: false},
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
    plugins: [licenses],
    clean: false,
    dts: false,
    logLevel: 'warn',
    checks: {pluginTimings: false},
  },
]);
