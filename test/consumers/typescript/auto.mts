import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import type {Im2winRegistration} from 'tfjs-im2win';
import {ready} from 'tfjs-im2win/auto';
import {compare} from './check.js';

const registration: Promise<Im2winRegistration> = ready;
console.log(JSON.stringify(await compare(tf, () => registration)));
