// What a network is to whoever runs it.
import * as tf from '@tensorflow/tfjs-core';

export interface LoadedNetwork {
  /** Runs the network once on its input; the caller disposes of the outputs. Networks with loops give a promise. */
  predict(): tf.Tensor[] | Promise<tf.Tensor[]>;
  /** What tfjs loaded; missing where it is none of its models. */
  readonly model?: {dispose(): unknown};
}

export type Load = () => Promise<LoadedNetwork>;

export type Outputs = tf.Tensor | Outputs[] | {[name: string]: Outputs};

export const list = (outputs: Outputs): tf.Tensor[] =>
  outputs instanceof tf.Tensor ? [outputs] : Object.values(outputs).flatMap((one: Outputs) => list(one));
