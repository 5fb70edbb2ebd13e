// tfjs-core's own specs, bundled from the installed package around one copy of
// tfjs-core, with a backend and, if asked, the plugin.
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OPS = '@tensorflow/tfjs-core/dist/ops/';

export const BACKENDS = ['wasm', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

/** The specs that are about convolutions, and those of their gradients. */
const CONVOLUTION = [
  'conv1d_test',
  'conv2d_test',
  'conv2d_separable_test',
  'conv2d_transpose_test',
  'conv_util_test',
  'depthwise_conv2d_test',
  'fused/fused_conv2d_test',
  'fused/fused_depthwise_conv2d_test',
].map((name) => OPS + name);

/** The specs that are about matrix products, and what is made of them. */
const MAT_MUL = ['mat_mul_test', 'fused/fused_mat_mul_test'].map((name) => OPS + name);

export const SETS = {convolution: CONVOLUTION, matMul: MAT_MUL, all: ['@tensorflow/tfjs-core/dist/tests']};
export type SpecSet = keyof typeof SETS;

export interface SpecRun {
  readonly backend: Backend;
  readonly set: SpecSet;
  readonly plugin: boolean;
  /** Adds 1 to the first value of each output of ours: such a run must fail. */
  readonly corrupt: boolean;
}

/** @returns The path of a CommonJS file that defines the specs. */
export async function bundleSpecs({backend, set, plugin, corrupt}: SpecRun): Promise<string> {
  const name = `${backend}-${set}${plugin ? '-plugin' : ''}${corrupt ? '-corrupt' : ''}`;
  const outfile = path.join(ROOT, 'output', 'specs', `${name}.cjs`);
  mkdirSync(path.dirname(outfile), {recursive: true});
  await build({
    stdin: {contents: entry(backend, set, plugin, corrupt), resolveDir: ROOT, loader: 'ts'},
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // The ES modules, so that specs, backends and plugin share one tfjs-core.
    mainFields: ['module', 'main'],
    // tfjs-core's list of side effects leaves the spec files out.
    ignoreAnnotations: true,
    external: ['jasmine-core'],
    logLevel: 'error',
  });
  return outfile;
}

function entry(backend: Backend, set: SpecSet, plugin: boolean, corrupt: boolean): string {
  const wasmFolder = `${path.join(ROOT, 'node_modules/@tensorflow/tfjs-backend-wasm/dist')}/`;
  return [
    `import * as tf from '@tensorflow/tfjs-core';`,
    `import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';`,
    `import '@tensorflow/tfjs-core/dist/register_all_gradients';`,
    `import {setTestEnvs} from '@tensorflow/tfjs-core/dist/jasmine_util';`,
    `import '@tensorflow/tfjs-backend-cpu';`,
    `import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';`,
    `setWasmPaths(${JSON.stringify(wasmFolder)});`,
    `setTestEnvs([{name: ${JSON.stringify(backend)}, backendName: ${JSON.stringify(backend)}, isDataSync: true}]);`,
    ...(plugin ? [pluginEntry(backend, corrupt)] : []),
    // Specs need the environment at once: require, which esbuild keeps in its place.
    ...SETS[set].map((file) => `require(${JSON.stringify(file)});`),
  ].join('\n');
}

function pluginEntry(backend: Backend, corrupt: boolean): string {
  return `
    import {registerIm2win} from './src/index.ts';
    const registered = registerIm2win();
    beforeAll(async () => {
      const registration = await registered;
      globalThis.im2winRegistration = registration;
      if (!${corrupt}) return;
      for (const name of ['Conv2D', 'FusedConv2D']) {
        const config = tf.getKernel(name, ${JSON.stringify(backend)});
        tf.unregisterKernel(name, ${JSON.stringify(backend)});
        tf.registerKernel({...config, kernelFunc: (args) => {
          const output = config.kernelFunc(args);
          const {dataIdMap, data, wasm} = args.backend;
          const values = wasm
            ? new Float32Array(wasm.HEAPU8.buffer, dataIdMap.get(output.dataId).memoryOffset, 1)
            : data.get(output.dataId).values;
          values[0] += 1;
          return output;
        }});
      }
    });`;
}
