// Which flavours an engine has is told from a few bytes. That must agree with the kernels themselves.
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import type {Flavour} from '../src/plan.ts';
import {bestFlavour, probe, supportedFlavours} from '../src/wasm/detect.ts';
import {engineWithout} from './tf.ts';

const ROOT = path.join(__dirname, '..');
const FLAVOURS: Flavour[] = ['relaxed', 'strict'];

afterEach(() => jest.restoreAllMocks());

test('this engine, the better one first', () => {
  expect(supportedFlavours()).toEqual(['relaxed', 'strict']);
  expect(bestFlavour()).toBe('relaxed');
});

test('less of it', () => {
  engineWithout('relaxed');
  expect(supportedFlavours()).toEqual(['strict']);
  engineWithout('relaxed', 'strict');
  expect(bestFlavour()).toBe('none');
});

test('an engine without WebAssembly', () => {
  const all = globalThis.WebAssembly;
  Reflect.deleteProperty(globalThis, 'WebAssembly');
  expect(bestFlavour()).toBe('none');
  globalThis.WebAssembly = all;
});

test.each(FLAVOURS)('the probe of %s is valid for its instructions', (flavour) => {
  const bytes = probe(flavour);
  expect(WebAssembly.validate(bytes)).toBe(true);
  // Another instruction in the place of the last, before `end`.
  const last = bytes.length - 2;
  expect(WebAssembly.validate(bytes.map((byte, i) => (i === last ? 0x7f : byte)))).toBe(false);
});

const node20 = path.join(ROOT, 'test/node20/node_modules/node/bin/node');
const RELAXED_FLAG = '--experimental-wasm-relaxed-simd';

test.each([
  ['this Node', process.execPath, [], [true, true]],
  ['Node 20', node20, [], [false, true]],
  ['Node 20, relaxed SIMD on', node20, [RELAXED_FLAG], [true, true]],
])('the probes and the kernels agree: %s', (_, node, flags, expected) => {
  const modules = FLAVOURS.flatMap((flavour) => [
    Buffer.from(probe(flavour)),
    readFileSync(path.join(ROOT, `src/wasm/im2win-${flavour}.wasm`)),
  ]).map((bytes) => bytes.toString('base64'));
  const script = `
    const modules = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    console.log(JSON.stringify(modules.map((text) => WebAssembly.validate(Buffer.from(text, 'base64')))));`;
  const valid = execFileSync(node, [...flags, '-e', script], {
    input: JSON.stringify(modules),
    encoding: 'utf8',
  });
  expect(JSON.parse(valid)).toEqual(expected.flatMap((value) => [value, value]));
});
