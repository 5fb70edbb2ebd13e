import {readFileSync} from 'node:fs';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win/slim';
import {compare} from './check.js';

const bytes = (flavour) => readFileSync(new URL(import.meta.resolve(`tfjs-im2win/im2win-${flavour}.wasm`)));
const wasmBinary = {strict: bytes('strict'), relaxed: bytes('relaxed')};
console.log(JSON.stringify(await compare(tf, () => registerIm2win({wasmBinary}))));
