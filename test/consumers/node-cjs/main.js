require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {registerIm2win} = require('tfjs-im2win');
const {compare} = require('./check.js');

compare(tf, registerIm2win).then((result) => console.log(JSON.stringify(result)));
