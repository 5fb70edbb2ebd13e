// First: it waits for the backends that are imported along with it.
import 'tfjs-im2win/auto';

import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {compare, registeredByImport} from './check.js';

setWasmPaths('/tfjs/');
globalThis.result = compare(tf, () => registeredByImport(tf, registerIm2win));
