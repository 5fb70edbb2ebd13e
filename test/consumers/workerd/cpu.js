import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {compare} from './check.js';

export default {
  async fetch() {
    return Response.json(await compare(tf, registerIm2win, 'cpu'));
  },
};
