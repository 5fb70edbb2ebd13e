// The network: ESRGAN slim, which doubles a picture, loaded from disk onto a backend.
import {readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {loadLayersModel} from '@tensorflow/tfjs-layers';
import {registerIm2win} from 'tfjs-im2win';
import type {Picture} from './picture.ts';
import {loadTfjsNode} from './tfjsNode.ts';

/** Who computes: tfjs's wasm backend with im2win, that backend alone, or tfjs-node. */
export const KERNELS = ['im2win', 'stock', 'native'] as const;
export type Kernels = (typeof KERNELS)[number];

/** What a service says of its network. */
export interface Description {
  readonly kernels: Kernels;
  readonly backend: string;
  /** Of WebAssembly, by im2win: relaxed, strict or none. */
  readonly simd?: string;
  readonly threads?: number;
  readonly modelLoadedBy: 'tfjs-node' | 'fromFile';
}

export interface Network {
  readonly description: Description;
  upscale(picture: Picture): Promise<Picture>;
}

export const MODEL = new URL('./models/x2/model.json', packageFolder('@upscalerjs/esrgan-slim'));

/** @param threads Of im2win; tfjs-node has them from TF_NUM_INTRAOP_THREADS. */
export async function startNetwork(kernels: Kernels, threads: number | undefined): Promise<Network> {
  const {tfjsNode, whyNot} = loadTfjsNode();
  if (kernels === 'native' && tfjsNode === undefined) {
    throw new Error(`@tensorflow/tfjs-node is not available: ${whyNot}`);
  }
  // Before the backend starts, for it to start on a heap that threads can share.
  const im2win = kernels === 'im2win' ? await registerIm2win({numThreads: threads}) : undefined;
  const backend = kernels === 'native' ? 'tensorflow' : 'wasm';
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs's backend '${backend}' has not started.`);
  const model = await loadLayersModel(
    tfjsNode === undefined ? fromFile(MODEL) : tfjsNode.io.fileSystem(fileURLToPath(MODEL)),
  );
  return {
    description: {
      kernels,
      backend,
      simd: im2win?.simd,
      threads: kernels === 'stock' ? 1 : (im2win?.numThreads ?? threads),
      modelLoadedBy: tfjsNode === undefined ? 'fromFile' : 'tfjs-node',
    },
    async upscale({width, height, rgb}) {
      const output = tf.tidy(() => model.predict(tf.tensor4d(Float32Array.from(rgb), [1, height, width, 3])));
      const values = await (output as tf.Tensor).data<'float32'>();
      (output as tf.Tensor).dispose();
      // Rounded, and from 0 to 255.
      return {width: 2 * width, height: 2 * height, rgb: Uint8ClampedArray.from(values)};
    },
  };
}

/** What tfjs-node's handler for file:// does: reads model.json, and the weights beside it. */
export function fromFile(model: URL): tf.io.IOHandler {
  return {
    async load() {
      const {weightsManifest, ...artifacts} = JSON.parse(await readFile(model, 'utf8'));
      const groups: tf.io.WeightsManifestConfig = weightsManifest;
      const shards = await Promise.all(
        groups.flatMap(({paths}) => paths.map((path) => readFile(new URL(path, model)))),
      );
      return {
        ...artifacts,
        weightSpecs: groups.flatMap(({weights}) => weights),
        weightData: Uint8Array.from(Buffer.concat(shards)).buffer,
      };
    },
  };
}

function packageFolder(name: string): URL {
  const entry = import.meta.resolve(name);
  return new URL(`${entry.slice(0, entry.lastIndexOf(name) + name.length)}/`);
}
