import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {compare} from './check.js';

console.log(JSON.stringify(await compare(tf, registerIm2win)));
