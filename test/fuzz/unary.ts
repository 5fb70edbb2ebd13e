// Random calls of the kernels that compute each value by itself.
import fc from 'fast-check';
import type {Flavour} from '../../src/index.ts';
import {UNARY_KERNELS} from '../../src/unaryKernels.ts';
import {tf} from '../tf.ts';
import type {FuzzRow} from './row.ts';
import {servedRow} from './served.ts';

interface UnaryCase {
  readonly kernelName: string;
  readonly values: readonly number[];
  readonly alpha: number;
}

const near = fc.float({min: -128, max: 128, noNaN: true});

const cases = fc.record({
  kernelName: fc.constantFrom(...UNARY_KERNELS.map(({name}) => name)),
  values: fc.array(fc.oneof(near, near, fc.float()), {minLength: 1, maxLength: 200}),
  alpha: fc.float({min: -4, max: 4, noNaN: true}),
});

/** tfjs's cpu backend computes exp(x) - 1 in doubles, and takes exp(x) for a small log(1 + exp(x)). */
const TOLERANCES: Readonly<Record<string, {relative?: number; absolute?: number}>> = {
  Elu: {absolute: 2 ** -51},
  Selu: {absolute: 2 ** -51},
};

function run({kernelName, values, alpha}: UnaryCase): Float32Array {
  return tf.tidy(() => {
    const x = tf.tensor1d(Float32Array.from(values));
    const result = tf.engine().runKernel(kernelName, {x}, {alpha}) as tf.Tensor;
    return Float32Array.from(result.dataSync());
  });
}

export function unaryRow(simd: Flavour): FuzzRow<UnaryCase> {
  return servedRow('unary', simd, cases, async (one) => {
    await tf.setBackend('cpu');
    const expected = run(one);
    await tf.setBackend('wasm');
    const got = run(one);
    const {relative = 2 ** -22, absolute = 2 ** -126} = TOLERANCES[one.kernelName] ?? {};
    expected.forEach((value, i) => {
      const isNear = Math.abs(got[i] - value) <= relative * Math.abs(value) + absolute;
      if (isNear || got[i] === value || (Number.isNaN(got[i]) && Number.isNaN(value))) return;
      throw new Error(`${one.kernelName} of ${one.values[i]} is ${got[i]}, not ${value}`);
    });
  });
}
