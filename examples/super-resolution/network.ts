// The pretrained network: ESRGAN slim, 2×, a tfjs layers model from the package
// @upscalerjs/esrgan-slim, loaded as any other.
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {type LayersModel, loadLayersModel} from '@tensorflow/tfjs-layers';

const FOLDER = new URL('./models/x2/', packageFolder('@upscalerjs/esrgan-slim'));

export async function loadNetwork(): Promise<LayersModel> {
  const {modelTopology, weightsManifest} = JSON.parse(readFileSync(new URL('model.json', FOLDER), 'utf8'));
  const weights: Buffer[] = weightsManifest
    .flatMap((group: {paths: string[]}) => group.paths)
    .map((path: string) => readFileSync(new URL(path, FOLDER)));
  return loadLayersModel(
    tf.io.fromMemory({
      modelTopology,
      weightSpecs: weightsManifest.flatMap((group: {weights: tf.io.WeightsManifestEntry[]}) => group.weights),
      weightData: Uint8Array.from(Buffer.concat(weights)).buffer,
    }),
  );
}

/** Runs the network on one image; the caller disposes of the result. */
export function upscale(network: LayersModel, image: tf.Tensor4D): tf.Tensor4D {
  return network.predict(image) as tf.Tensor4D;
}

/** The bytes of the wasm backend's heap. */
export function heapBytes(): number {
  return (tf.backend() as unknown as {wasm: {HEAPU8: Uint8Array}}).wasm.HEAPU8.length;
}

function packageFolder(name: string): URL {
  let entry = fileURLToPath(import.meta.resolve(name));
  entry = entry.slice(0, entry.lastIndexOf(name) + name.length);
  return new URL(`file://${entry}/`);
}
