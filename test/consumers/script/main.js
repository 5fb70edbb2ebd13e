/* global tf, im2win, check */
tf.wasm.setWasmPaths('/tfjs/');
globalThis.result = check.compare(tf, im2win.registerIm2win);
