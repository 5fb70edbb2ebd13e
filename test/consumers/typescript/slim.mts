import type * as tf from '@tensorflow/tfjs-core';
import {type Im2winRegistration, registerIm2win} from 'tfjs-im2win/slim';

// As a bundler has it, that resolves the address of a file.
const wasmUrl = {relaxed: new URL('tfjs-im2win/im2win-relaxed.wasm', import.meta.url)};
export const registration: Promise<Im2winRegistration> = registerIm2win({wasmUrl, simd: 'relaxed'});
export type Filter = tf.Tensor4D;
