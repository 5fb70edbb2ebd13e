import {readFileSync} from 'node:fs';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

import slim = require('tfjs-im2win/slim');

import type {SlimOptions} from 'tfjs-im2win/slim';
import {compare} from './check.cjs';

const bytes = (flavour: 'strict' | 'relaxed') =>
  readFileSync(require.resolve(`tfjs-im2win/im2win-${flavour}.wasm`));
const options: SlimOptions = {wasmBinary: {strict: bytes('strict'), relaxed: bytes('relaxed')}};
// @ts-expect-error: exactly one of the three.
const none: SlimOptions = {simd: 'auto'};
// @ts-expect-error: exactly one of the three.
const two: SlimOptions = {wasmUrl: 'a', wasmBinary: new ArrayBuffer(0)};
void [none, two];

compare(tf, () => slim.registerIm2win(options)).then((result) => console.log(JSON.stringify(result)));
