/*! tfjs-im2win, Apache-2.0 */
if (typeof tf === 'undefined') {
  throw new Error(
    "im2win: the global 'tf' is undefined; load tf.min.js of @tensorflow/tfjs before this script.",
  );
}
