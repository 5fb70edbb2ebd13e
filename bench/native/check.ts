// Whether tfjs-node runs here: ends with an error if not.
import assert from 'node:assert/strict';
import * as tf from '@tensorflow/tfjs-core';
import {loadTfjsNode} from './tfjsNode.ts';

tf.enableProdMode();
loadTfjsNode();
assert.ok(await tf.setBackend('tensorflow'));
const y = tf.conv2d(tf.ones([1, 8, 8, 3]) as tf.Tensor4D, tf.ones([3, 3, 3, 4]) as tf.Tensor4D, 1, 'valid');
assert.deepEqual([...new Set(y.dataSync())], [27]);
