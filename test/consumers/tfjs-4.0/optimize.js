// optimizeModel with the oldest tfjs that it is for.
import assert from 'node:assert/strict';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {layers, sequential} from '@tensorflow/tfjs-layers';
import {registerIm2win} from 'tfjs-im2win';
import {optimizeModel} from 'tfjs-im2win/optimize';
import {compare} from './check.js';

await registerIm2win({numThreads: 1});
await tf.setBackend('wasm');
const model = sequential({
  layers: [
    layers.conv2d({filters: 8, kernelSize: 3, inputShape: [12, 12, 3]}),
    layers.batchNormalization(),
    layers.activation({activation: 'relu'}),
    layers.flatten(),
    layers.dense({units: 4}),
  ],
});
const x = tf.randomUniform([2, 12, 12, 3], -1, 1, 'float32', 6);
const expected = model.predict(x).dataSync();
const done = await optimizeModel(model, {verify: x});
assert.deepEqual(done.reasons, []);
assert(done.changes.some(({now}) => now === 'FusedConv2D relu'));
const values = model.predict(x).dataSync();
const largest = Math.max(...expected.map(Math.abs));
assert(values.every((value, i) => Math.abs(value - expected[i]) <= 1e-5 * largest));
done.revert();
(await registerIm2win()).unregister();

console.log(JSON.stringify(await compare(tf, registerIm2win)));
