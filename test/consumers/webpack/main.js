import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {compare} from './check.js';

setWasmPaths('/tfjs/');
globalThis.result = compare(tf, registerIm2win);
