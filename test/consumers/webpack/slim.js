import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win/slim';
import {compare} from './check.js';

const relaxed = new URL('tfjs-im2win/im2win-relaxed.wasm', import.meta.url);
const strict = new URL('tfjs-im2win/im2win-strict.wasm', import.meta.url);
setWasmPaths('/tfjs/');
globalThis.result = compare(tf, () => registerIm2win({wasmUrl: {relaxed, strict}}));
