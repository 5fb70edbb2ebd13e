// The package in a host that has what tfjs needs, and nothing else: a bare context, as jest's jsdom is one.
import {readFileSync} from 'node:fs';
import {createRequire, isBuiltin} from 'node:module';
import path from 'node:path';
import {type Context, createContext, runInContext} from 'node:vm';

const ROOT = path.join(__dirname, '..');

/** All that stock needs there: its wasm backend asks for Node by it. */
const TFJS_NEEDS = {process};

/** A context with CommonJS modules of its own. */
function bareContext(): {context: Context; require: (name: string) => unknown} {
  const context = createContext({...TFJS_NEEDS});
  context.global = context;
  const modules = new Map<string, {exports: unknown}>();
  const requireFrom = (from: string) => (name: string) => {
    const outer = createRequire(from);
    if (isBuiltin(name)) return outer(name);
    const file = outer.resolve(name);
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = {exports: {}};
    modules.set(file, module);
    const code = readFileSync(file, 'utf8');
    const run = runInContext(
      `(function (exports, require, module, __filename, __dirname) {${code}\n})`,
      context,
      {filename: file},
    );
    run(module.exports, requireFrom(file), module, file, path.dirname(file));
    return module.exports;
  };
  return {context, require: requireFrom(path.join(ROOT, 'package.json'))};
}

async function evaluate(code: string): Promise<unknown> {
  const {context, require} = bareContext();
  const run = runInContext(
    `(async function (require) {
      const tf = require('@tensorflow/tfjs-core');
      require('@tensorflow/tfjs-backend-cpu');
      require('@tensorflow/tfjs-backend-wasm');
      await tf.setBackend('wasm');
      const conv = () => Array.from(tf.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 5]), 1, 'valid').dataSync());
      const expected = conv();
      ${code}
      const values = conv();
      const {backends, simd} = registration;
      const [{algorithm, pad}] = registration.report();
      return JSON.stringify({same: String(values) === String(expected), backends, simd, algorithm, pad});
    })`,
    context,
  );
  return JSON.parse(await run(require));
}

const SERVED = {same: true, backends: ['wasm', 'cpu'], simd: 'relaxed', algorithm: 'im2win', pad: 'valid'};

test.each([
  ['tfjs-im2win', "const registration = await require('tfjs-im2win').registerIm2win({simd: 'auto'});"],
  [
    'tfjs-im2win/auto where a promise of WebAssembly is never settled, as while workerd loads modules',
    `WebAssembly.compile = WebAssembly.instantiate = () => new Promise(() => {});
     const registration = await require('tfjs-im2win/auto').ready;`,
  ],
  ['tfjs-im2win/auto', "const registration = await require('tfjs-im2win/auto').ready;"],
  [
    'tfjs-im2win/slim',
    `const wasmBinary = require('node:fs').readFileSync('${ROOT}/dist/im2win-relaxed.wasm');
     const registration = await require('tfjs-im2win/slim').registerIm2win({wasmBinary});`,
  ],
])('%s', async (_, code) => {
  expect(await evaluate(code)).toEqual(SERVED);
});
