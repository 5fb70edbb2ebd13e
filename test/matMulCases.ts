// Matrix products, and what they are: a plain loop in doubles.
import {activate, sumError, UNIT_ROUNDOFF} from './reference.ts';
import {broadcast, floats, size, tf} from './tf.ts';

// As in reference.ts: jest's globals are slow.
const {abs, floor, imul, max} = Math;

export interface MatMulCase {
  readonly aShape: readonly number[];
  readonly bShape: readonly number[];
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Missing for `BatchMatMul`, which has no epilogue. */
  readonly activation?: string;
  readonly biasShape?: readonly number[];
  readonly slopeShape?: readonly number[];
  readonly seed?: number;
  /** Some values are NaN or infinite. */
  readonly odd?: boolean;
}

export interface MatMulTensors {
  readonly a: tf.Tensor;
  readonly b: tf.Tensor;
  readonly bias?: tf.Tensor;
  readonly preluActivationWeights?: tf.Tensor;
}

const ALPHA = 0.3;
const ODD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

export function tensorsOf({aShape, bShape, biasShape, slopeShape, seed = 1, odd}: MatMulCase): MatMulTensors {
  const tensor = (shape: readonly number[] | undefined, salt: number) => {
    if (shape === undefined) return undefined;
    const values = floats(size(shape), 7 * seed + salt);
    // What a slope that is not finite may widen cannot be bounded.
    if (odd && salt < 4) {
      for (let i = 0; i < 3; ++i)
        values[imul(seed + i, 7919 + salt) % max(1, values.length)] = ODD[(i + salt) % 3];
    }
    return tf.tensor(values, [...shape]);
  };
  const [a, b] = [tensor(aShape, 1), tensor(bShape, 2)] as [tf.Tensor, tf.Tensor];
  return {a, b, bias: tensor(biasShape, 3), preluActivationWeights: tensor(slopeShape, 4)};
}

/** Calls the kernel by its name: tfjs's ops turn tensors into those of rank 3. */
export function runMatMul(
  {transposeA = false, transposeB = false, activation}: MatMulCase,
  tensors: MatMulTensors,
): tf.Tensor {
  const inputs = Object.fromEntries(Object.entries(tensors).filter(([, tensor]) => tensor !== undefined));
  const attrs = {transposeA, transposeB, activation, leakyreluAlpha: ALPHA};
  const name = activation === undefined ? 'BatchMatMul' : '_FusedMatMul';
  return tf.engine().runKernel(name, inputs, attrs as unknown as tf.NamedAttrMap) as tf.Tensor;
}

/** @throws Error that names the first value that is off. */
export function expectMatMul(output: tf.Tensor, one: MatMulCase, tensors: MatMulTensors): void {
  const {aShape, bShape, transposeA, transposeB, activation = 'linear'} = one;
  const name = JSON.stringify(one);
  const [rows, depth] = sides(aShape, transposeA);
  const [, columns] = sides(bShape, transposeB);
  const batchShape = tf.broadcast_util.assertAndGetBroadcastShape(aShape.slice(0, -2), bShape.slice(0, -2));
  const shape = [...batchShape, rows, columns];
  if (output.shape.join() !== shape.join()) {
    throw new Error(`${name}: the output has shape [${output.shape}], not [${shape}]`);
  }
  const values = output.dataSync();
  const [a, b] = [tensors.a.dataSync(), tensors.b.dataSync()];
  const [aRow, aDepth] = transposeA ? [1, rows] : [depth, 1];
  const [bDepth, bColumn] = transposeB ? [1, depth] : [columns, 1];
  const [aBatch, bBatch] = [batchOf(aShape, batchShape), batchOf(bShape, batchShape)];
  const bias = broadcast(tensors.bias, shape);
  const slope = broadcast(tensors.preluActivationWeights, shape);
  for (let batch = 0, at = 0; batch < size(batchShape); ++batch) {
    const aFrom = aBatch(batch) * rows * depth;
    const bFrom = bBatch(batch) * depth * columns;
    for (let i = 0; i < rows; ++i) {
      for (let j = 0; j < columns; ++j, ++at) {
        let sum = 0;
        let magnitude = 0;
        for (
          let k = 0, p = aFrom + i * aRow, q = bFrom + j * bColumn;
          k < depth;
          ++k, p += aDepth, q += bDepth
        ) {
          const product = a[p] * b[q];
          sum += product;
          magnitude += abs(product);
        }
        const added = bias(at);
        const {value, widening} = activate(
          activation,
          sum + added,
          activation === 'leakyrelu' ? ALPHA : slope(at),
        );
        const error = sumError(depth + 1, magnitude + abs(added));
        // The activations themselves: at most eight roundings in a row.
        const allowed = widening * error + 8 * UNIT_ROUNDOFF * abs(value) + 1e-37;
        if (!(Object.is(values[at], value) || values[at] === value || abs(values[at] - value) <= allowed)) {
          throw new Error(`${name}: value ${at} of [${shape}] is ${values[at]}, not ${value} ± ${allowed}`);
        }
      }
    }
  }
}

function sides(shape: readonly number[], transposed = false): readonly [number, number] {
  const [first, second] = shape.slice(-2);
  return transposed ? [second, first] : [first, second];
}

/** The matrix of a tensor that meets a batch of the output, by NumPy's broadcasting. */
function batchOf(shape: readonly number[], batchShape: readonly number[]): (batch: number) => number {
  const own = [...Array<number>(batchShape.length - (shape.length - 2)).fill(1), ...shape.slice(0, -2)];
  return (batch) => {
    let at = 0;
    let stride = 1;
    let rest = batch;
    for (let d = batchShape.length - 1; d >= 0; --d) {
      const index = rest % batchShape[d];
      rest = floor(rest / batchShape[d]);
      if (own[d] !== 1) at += index * stride;
      stride *= own[d];
    }
    return at;
  };
}

/** Computes a case on the current backend, and compares it with the reference. */
export function checkMatMul(one: MatMulCase): void {
  tf.tidy(() => {
    const tensors = tensorsOf(one);
    expectMatMul(runMatMul(one, tensors), one, tensors);
  });
}
