// tfjs-node, where it is installed. Its backend, 'tensorflow', then is in the engine that all copies of tfjs share.
import {createRequire} from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';

/** What tfjs-node has beside its backend. */
export interface TfjsNode {
  /** The version below it. */
  readonly tensorFlow: string;
  loadSavedModel(
    folder: string,
    tags: string[],
    signature: string,
  ): Promise<{predict(x: tf.Tensor): unknown}>;
}

/** @throws Error if it is not installed, or its native part is missing. */
export function loadTfjsNode(): TfjsNode {
  // Version 4.22 calls these two. Node 23 and later have the first no more, and warn of the second.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  const {node} = createRequire(new URL('tfjs-node/', import.meta.url))('@tensorflow/tfjs-node');
  const {binding} = tf.findBackend('tensorflow') as unknown as {binding: {TF_Version: string}};
  return {tensorFlow: binding.TF_Version, loadSavedModel: node.loadSavedModel};
}
