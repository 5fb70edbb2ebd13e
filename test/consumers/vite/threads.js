import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import workerUrl from 'tfjs-im2win/im2win-worker.js?url&no-inline';
import {compare} from './check.js';

setWasmPaths('/tfjs/');
tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
globalThis.result = compare(tf, () => registerIm2win({workerUrl}));
