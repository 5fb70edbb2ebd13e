import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {type Im2winOptions, type Im2winRegistration, im2winConv2d, registerIm2win} from 'tfjs-im2win';
import {compare} from './check.js';

const options: Im2winOptions = {backends: ['wasm'], simd: 'auto', algorithm: 'auto'};
let registration: Im2winRegistration | undefined;
const result = await compare(tf, async () => {
  registration = await registerIm2win(options);
  await tf.setBackend('wasm');
  const y: tf.Tensor4D = im2winConv2d(tf.ones<tf.Rank.R4>([1, 4, 4, 2]), tf.ones<tf.Rank.R4>([3, 3, 2, 4]), {
    strides: 1,
    pad: 'same',
    activation: 'relu',
  });
  y.dispose();
  return registration;
});
// @ts-expect-error: there is no such flavour.
const wrong: Im2winOptions = {simd: 'fast'};
void wrong;
console.log(JSON.stringify(result));
