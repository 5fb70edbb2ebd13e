import {ready} from 'tfjs-im2win/auto';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {compare} from './check.js';

console.log(JSON.stringify(await compare(tf, () => ready)));
