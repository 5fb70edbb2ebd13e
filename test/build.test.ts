// What the build makes: stateless modules, and a package that Node loads in both
// of its ways, Node 20 too.
import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {recordsModule, taskEntries} from '../scripts/interface.ts';
import {assertStateless, sectionNames} from '../scripts/stateless.ts';
import {withSharedMemory} from '../src/wasm/binary.ts';

const ROOT = path.join(__dirname, '..');

test('the scripts run on the Node of the node devDependency', () => {
  const {version} = JSON.parse(readFileSync(path.join(ROOT, 'node_modules/node/package.json'), 'utf8'));
  expect(process.version).toBe(`v${version}`);
  expect(process.version).toMatch(/^v24\./);
});

describe.each(['strict', 'relaxed'])('the %s module', (name) => {
  const bytes = Uint8Array.from(readFileSync(path.join(ROOT, `src/wasm/im2win-${name}.wasm`)));

  test('is stateless', () => {
    expect(sectionNames(bytes)).toEqual(['type', 'import', 'function', 'export', 'code', 'custom']);
    assertStateless(bytes, name);
  });

  test('differs for a shared memory in its import alone', () => {
    const shared = withSharedMemory(bytes);
    expect(sectionNames(shared)).toEqual(sectionNames(bytes));
    const code = (module: Uint8Array) =>
      Buffer.from(module.subarray(module.length - 10_000)).toString('base64');
    expect(code(shared)).toBe(code(bytes));
    const memory = new WebAssembly.Memory({initial: 1, maximum: 65536, shared: true});
    expect(new WebAssembly.Instance(new WebAssembly.Module(shared), {env: {memory}})).toBeDefined();
  });
});

test('a module with state does not pass', () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const withGlobal = Uint8Array.from([...header, 6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b]);
  expect(() => assertStateless(withGlobal, 'test')).toThrow('it has a global section');
  // A function type, and an import of it as env.f.
  const withImport = Uint8Array.from([
    ...header,
    1,
    4,
    1,
    0x60,
    0,
    0,
    2,
    9,
    1,
    3,
    0x65,
    0x6e,
    0x76,
    1,
    0x66,
    0,
    0,
  ]);
  expect(() => assertStateless(withImport, 'test')).toThrow('it may import env.memory only');
});

test('a .def file with fields is a record', () => {
  const files = {
    'a.def': '// A comment.\nFIELD(uint32_t, count)\n\nFIELD(const char*, from)\n',
    'targets.def': 'tile.mr 6',
  };
  expect(recordsModule(files)).toContain('export const A = {\n  count: 0,\n  from: 1,\n} as const;');
  expect(recordsModule(files)).toContain('export const A_WORDS = 2;');
  expect(recordsModule(files)).not.toContain('TARGETS');
  for (const line of ['FIELD(double, wide)', 'FIELD(uint32_t,']) {
    expect(() => recordsModule({'a.def': line})).toThrow(
      `kernels/a.def: '${line}'; allowed: FIELD(type, name)`,
    );
  }
});

test('an entry with tasks is known by its parameters', () => {
  const entry = (name: string, parameters: string) =>
    `IM2WIN_EXPORT(${name})\nvoid ${name}(${parameters}) {}\n`;
  const sources = {
    'a.cpp': entry('a', 'const Job* job, uint32_t first,\n       uint32_t last') + entry('b', 'float* to'),
    'c.cpp': entry('c', 'const Other* job, uint32_t first, uint32_t last, float* at'),
  };
  expect(taskEntries(sources, ['a', 'b', 'c'])).toEqual(['a', 'c']);
  expect(() => taskEntries(sources, ['a', 'd'])).toThrow('kernels/: d: allowed: IM2WIN_EXPORT(name)');
  expect(() => taskEntries({'a.cpp': entry('a', 'const Job* job, int from, int to')}, ['a'])).toThrow(
    'kernels/a.cpp: a takes (const Job* job, int from, int to); allowed where there is a job',
  );
});

const SMOKE = `
  await tf.setBackend('wasm');
  const im2win = await registerIm2win();
  const y = tf.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 5]), 1, 'valid');
  const [{algorithm}] = im2win.report();
  console.log(JSON.stringify({version: process.version, simd: im2win.simd, algorithm, values: [...y.dataSync()]}));
`;
const ESM = `
  import * as tf from '@tensorflow/tfjs-core';
  import '@tensorflow/tfjs-backend-wasm';
  import {registerIm2win} from 'tfjs-im2win';
  ${SMOKE}`;
const COMMON_JS = `
  const tf = require('@tensorflow/tfjs-core');
  require('@tensorflow/tfjs-backend-wasm');
  const {registerIm2win} = require('tfjs-im2win');
  (async () => {${SMOKE}})();`;

function runNode(node: string, ...args: string[]) {
  const result = JSON.parse(execFileSync(node, args, {cwd: ROOT, encoding: 'utf8'}));
  expect(result.algorithm).toBe('im2win');
  expect(result.values).toEqual(Array(20).fill(18));
  return result;
}

test('the package loads as an ES module and as CommonJS', () => {
  expect(runNode(process.execPath, '--input-type=module', '-e', ESM).simd).toBe('relaxed');
  expect(runNode(process.execPath, '--input-type=commonjs', '-e', COMMON_JS).simd).toBe('relaxed');
});

describe('on Node 20', () => {
  const node20 = path.join(ROOT, 'test/node20/node_modules/node/bin/node');

  test('plain SIMD, and relaxed SIMD behind its flag', () => {
    expect(existsSync(node20)).toBe(true);
    const plain = runNode(node20, '--input-type=module', '-e', ESM);
    expect(plain.version).toMatch(/^v20\./);
    expect(plain.simd).toBe('strict');
    const flagged = ['--experimental-wasm-relaxed-simd', '--input-type=commonjs', '-e', COMMON_JS];
    expect(runNode(node20, ...flagged).simd).toBe('relaxed');
  });
});
