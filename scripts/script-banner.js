/*! tfjs-im2win, Apache-2.0 */
// tf-backend-wasm.min.js makes a `tf` of its own where there is none.
if (typeof tf === 'undefined' || typeof tf.op !== 'function') {
  throw new Error(
    "im2win: the global 'tf' is missing or not tfjs; load tf.min.js of @tensorflow/tfjs before this script.",
  );
}
