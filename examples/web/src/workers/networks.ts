// The pretrained networks, loaded over HTTP as in any application of tfjs.

import {loadGraphModel} from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import {loadLayersModel} from '@tensorflow/tfjs-layers';
import type {OptimizableModel} from 'tfjs-im2win/optimize';
import esrganWeights from '#esrgan-slim/x2/group1-shard1of1.bin?url';
import esrgan from '#esrgan-slim/x2/model.json?url';
import movenetWeights from '#human/movenet-lightning.bin?url';
import movenet from '#human/movenet-lightning.json?url';
import type {NetworkName} from '../types.ts';

export interface Network {
  /** tfjs's. */
  readonly model: OptimizableModel;
  /** @param pixels [height, width, 3], int32, 0 to 255; the caller disposes of the result. */
  predict(pixels: tf.Tensor3D): tf.Tensor;
}

/** @param onProgress Told the share of the bytes that have come, 0 to 1. */
export async function loadNetwork(
  name: NetworkName,
  onProgress: (share: number) => void = () => {},
): Promise<Network> {
  try {
    return await LOADERS[name](onProgress);
  } catch (error) {
    throw new Error(
      `The network could not be loaded: ${(error as Error).message.replace(/[.]?$/, '.')} Check the connection, and try again.`,
    );
  }
}

const LOADERS: Record<NetworkName, (onProgress: (share: number) => void) => Promise<Network>> = {
  async superResolution(onProgress) {
    const model = await loadLayersModel(esrgan, loadOptions(esrganWeights, onProgress));
    return {
      model,
      predict: (pixels) =>
        tf.tidy(() => model.predict(tf.expandDims(tf.cast(pixels, 'float32'))) as tf.Tensor),
    };
  },
  async pose(onProgress) {
    const model = await loadGraphModel(movenet, loadOptions(movenetWeights, onProgress));
    return {model, predict: (pixels) => tf.tidy(() => model.execute(tf.expandDims(pixels)) as tf.Tensor)};
  },
};

// The bundler gives the files names of its own; each of these networks has one of weights.
function loadOptions(weights: string, onProgress: (share: number) => void): tf.io.LoadOptions {
  return {
    weightUrlConverter: async () => new URL(weights, self.location.href).href,
    fetchFunc: async (file, init) => {
      const response = await fetch(file, init);
      if (!response.ok) throw new Error(`${file} gives status ${response.status}.`);
      return String(file).endsWith('.bin') ? counted(response, onProgress) : response;
    },
  };
}

/** tfjs tells of whole files only; these are megabytes. */
function counted(response: Response, onProgress: (share: number) => void): Response {
  const total = Number(response.headers.get('Content-Length'));
  if (response.body === null || !(total > 0)) return response;
  let bytes = 0;
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.length;
        onProgress(Math.min(1, bytes / total));
        controller.enqueue(chunk);
      },
    }),
  );
  return new Response(body, response);
}
