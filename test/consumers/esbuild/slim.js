import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import relaxed from 'tfjs-im2win/im2win-relaxed.wasm';
import strict from 'tfjs-im2win/im2win-strict.wasm';
import {registerIm2win} from 'tfjs-im2win/slim';
import {compare} from './check.js';

setWasmPaths('/tfjs/');
globalThis.result = compare(tf, () => registerIm2win({wasmUrl: {relaxed, strict}}));
