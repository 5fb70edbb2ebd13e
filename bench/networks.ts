// Whole networks: pretrained ones, and standard architectures with seeded weights.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {ARCHITECTURES, buildArchitecture} from './architectures.ts';
import {buildGraphNetwork, GRAPH_NETWORKS} from './graphNetworks.ts';
import {buildKerasNetwork, KERAS_NETWORKS} from './kerasNetworks.ts';
import {type Load, list} from './network.ts';
import {PRETRAINED} from './pretrained.ts';

interface Predicts {
  predict(x: tf.Tensor): unknown;
  dispose(): unknown;
}

function seeded<Name extends string>(
  names: Record<Name, unknown>,
  build: (name: Name) => {network: Predicts | Promise<Predicts>; x: tf.Tensor},
): Record<string, Load> {
  const load = (name: Name) => async () => {
    const {network, x} = build(name);
    const loaded = await network;
    return {predict: () => list(loaded.predict(x) as tf.Tensor), model: loaded};
  };
  return Object.fromEntries((Object.keys(names) as Name[]).map((name) => [name, load(name)]));
}

export const NETWORKS: Record<string, Load> = {
  ...PRETRAINED,
  ...seeded(ARCHITECTURES, buildArchitecture),
  ...seeded(GRAPH_NETWORKS, buildGraphNetwork),
  ...seeded(KERAS_NETWORKS, buildKerasNetwork),
};

/** The bytes of the wasm backend's heap. */
export function heapBytes(): number {
  return (tf.backend() as unknown as {wasm: {HEAPU8: Uint8Array}}).wasm.HEAPU8.length;
}
