// The built entries beside the main one, in Node: tfjs-im2win/auto, and the file for a <script>.
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {createContext, runInContext} from 'node:vm';

const ROOT = path.join(__dirname, '..');

function node(type: 'module' | 'commonjs', code: string) {
  const args = [`--input-type=${type}`, '-e', code];
  return JSON.parse(execFileSync(process.execPath, args, {cwd: ROOT, encoding: 'utf8'}));
}

describe('auto', () => {
  const USE = `
    await tf.setBackend('wasm');
    const {backends, simd, report} = await ready;
    tf.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 5]), 1, 'valid');
    console.log(JSON.stringify({backends, simd, algorithms: report().map(({algorithm}) => algorithm)}));`;
  const EXPECTED = {backends: ['wasm'], simd: 'relaxed', algorithms: ['im2win']};
  const TF = "import * as tf from '@tensorflow/tfjs-core';";
  const BACKEND = "import '@tensorflow/tfjs-backend-wasm';";
  const AUTO = "import {ready} from 'tfjs-im2win/auto';";

  test('imported before the backend, and after it', () => {
    expect(node('module', AUTO + TF + BACKEND + USE)).toEqual(EXPECTED);
    expect(node('module', TF + BACKEND + AUTO + USE)).toEqual(EXPECTED);
  });

  test('as CommonJS, before the backend, and after it', () => {
    const tf = "const tf = require('@tensorflow/tfjs-core');";
    const backend = "require('@tensorflow/tfjs-backend-wasm');";
    const auto = "const {ready} = require('tfjs-im2win/auto');";
    const use = `(async () => {${USE}})();`;
    expect(node('commonjs', auto + tf + backend + use)).toEqual(EXPECTED);
    expect(node('commonjs', tf + backend + auto + use)).toEqual(EXPECTED);
  });

  test('where it fails, whoever awaits it is told, and the console once', () => {
    const warnings = 'const warnings = []; console.warn = (...texts) => warnings.push(texts);';
    const print = 'console.log(JSON.stringify(warnings))';
    const message =
      "tfjs-im2win/auto has registered nothing, and tfjs's own kernels stay. registerIm2win: tfjs has no " +
      "kernels to replace for backend 'wasm' or 'cpu'. Import '@tensorflow/tfjs-backend-wasm' or " +
      "'@tensorflow/tfjs-backend-cpu' before you call registerIm2win().";
    const silent = `import 'tfjs-im2win/auto'; ${warnings} setTimeout(() => ${print}, 50);`;
    expect(node('module', silent)).toEqual([[message]]);
    const told = `${AUTO} ${warnings} await ready.catch(({message}) => warnings.push(message)); ${print};`;
    expect(node('module', told)).toEqual(
      expect.arrayContaining([[message], message.replace(/^.*stay\. /, '')]),
    );
  });

  test('the registration is that of registerIm2win', () => {
    const code = `${AUTO + BACKEND} import {registerIm2win} from 'tfjs-im2win';
      console.log(await registerIm2win() === await ready);`;
    expect(node('module', code)).toBe(true);
  });
});

test('where cpu alone was imported, the status says what is faster', () => {
  const code = `import '@tensorflow/tfjs-core'; import '@tensorflow/tfjs-backend-cpu';
    import {registerIm2win} from 'tfjs-im2win';
    console.log(JSON.stringify((await registerIm2win()).status().split('\\n')));`;
  expect(node('module', code)).toContain(
    "wasm: not served: '@tensorflow/tfjs-backend-wasm' was not imported; it is the faster one.",
  );
});

describe('the script', () => {
  const script = readFileSync(path.join(ROOT, 'dist/im2win.min.js'), 'utf8');

  test('without tf', () => {
    expect(() => runInContext(script, createContext({}))).toThrow(
      "im2win: the global 'tf' is missing or not tfjs; load tf.min.js of @tensorflow/tfjs before this script.",
    );
  });

  test('with the tf that its wasm backend makes alone', () => {
    expect(() => runInContext(script, createContext({tf: {wasm: {}}}))).toThrow("the global 'tf' is missing");
  });

  test('with it, the exports of the main entry are in the global im2win', () => {
    const context = createContext({console, performance, setTimeout});
    context.self = context;
    const core = path.join(ROOT, 'node_modules/@tensorflow/tfjs-core/dist/tf-core.min.js');
    runInContext(readFileSync(core, 'utf8'), context);
    runInContext(script, context);
    expect(runInContext('Object.keys(im2win).sort().join()', context)).toBe(
      'IM2WIN_CONV_2D,IM2WIN_DEPTHWISE_CONV_2D,im2winConv2d,registerIm2win',
    );
  });
});
