// tfjs-node, where it is installed. Its backend, 'tensorflow', then is in the engine that all copies of tfjs share.
import {createRequire} from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Returns TensorFlow's version.
 *
 * @throws Error if it is not installed, or its native part is missing.
 */
export function loadTfjsNode(): string {
  // Version 4.22 calls these two. Node 23 and later have the first no more, and warn of the second.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  createRequire(new URL('tfjs-node/', import.meta.url))('@tensorflow/tfjs-node');
  return (tf.findBackend('tensorflow') as unknown as {binding: {TF_Version: string}}).binding.TF_Version;
}
