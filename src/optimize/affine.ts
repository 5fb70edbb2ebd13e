// Kernels that multiply by and add constants of a channel: batch norms, and what is left of them.
import type {Node, Value} from './graph.ts';

/** `x · scale + shift`, channel by channel. */
export interface Affine {
  readonly x: Value;
  /** Whether anything is added, and whether it is multiplied. */
  readonly shifts: boolean;
  readonly scales: boolean;
  /** What `of` depends on beside the values of the constants. */
  readonly name: string;
  readonly constants: readonly Value[];
  /** One value a channel. */
  of(values: readonly ArrayLike<number>[], channels: number): {scale: number[]; shift: number[]};
}

/**
 * A node as such, or `undefined` if it is none.
 *
 * @param axisOf The axis of channels of its output.
 */
export function affineOf(node: Node, axisOf: (shape: readonly number[]) => number): Affine | undefined {
  if (node.outputs.length !== 1 || node.output.dtype !== 'float32') return undefined;
  return node.kernel === 'FusedBatchNorm' ? batchNorm(node, axisOf) : binary(node, axisOf);
}

function batchNorm({inputs, attrs, output}: Node, axisOf: (shape: readonly number[]) => number) {
  const {x, mean, variance, offset, scale} = inputs;
  const axis = axisOf(output.shape);
  // tfjs's kernel takes the values of a list in turn: channels last.
  if (axis !== output.shape.length - 1) return undefined;
  const constants = [mean, variance, offset, scale].filter((value) => value !== undefined);
  if (!constants.every((value) => isPerChannel(value, output.shape, axis))) return undefined;
  const epsilon = (attrs.varianceEpsilon as number | undefined) ?? 0.001;
  return {
    x,
    scales: true,
    shifts: true,
    name: `batchNorm ${epsilon} ${offset !== undefined} ${scale !== undefined}`,
    constants,
    of(values: readonly ArrayLike<number>[], channels: number) {
      const [means, variances, ...rest] = values.map((list) => spread(list, channels));
      const offsets = offset === undefined ? undefined : rest.shift();
      const [scales] = rest;
      const factor = variances.map((own, i) => (scales?.[i] ?? 1) / Math.sqrt(own + epsilon));
      return {scale: factor, shift: factor.map((own, i) => (offsets?.[i] ?? 0) - means[i] * own)};
    },
  };
}

const BINARY: Readonly<Record<string, (constant: number) => {scale: number; shift: number}>> = {
  Add: (constant) => ({scale: 1, shift: constant}),
  Sub: (constant) => ({scale: 1, shift: -constant}),
  Multiply: (constant) => ({scale: constant, shift: 0}),
  RealDiv: (constant) => ({scale: 1 / constant, shift: 0}),
};

function binary(
  {kernel, inputs: {a, b}, output}: Node,
  axisOf: (shape: readonly number[]) => number,
): Affine | undefined {
  const factors = BINARY[kernel];
  if (factors === undefined) return undefined;
  const swaps = kernel === 'Add' || kernel === 'Multiply';
  const [x, constant] = swaps && a?.constant !== undefined ? [b, a] : [a, b];
  if (x === undefined || x.constant !== undefined || x.shape.join() !== output.shape.join()) return undefined;
  if (constant === undefined || !isPerChannel(constant, output.shape, axisOf(output.shape))) return undefined;
  const scales = kernel === 'Multiply' || kernel === 'RealDiv';
  return {
    x,
    scales,
    shifts: !scales,
    name: kernel,
    constants: [constant],
    of([values], channels) {
      const own = spread(values, channels).map(factors);
      return {scale: own.map(({scale}) => scale), shift: own.map(({shift}) => shift)};
    },
  };
}

/** Whether a constant has one value for each channel of a tensor, or one for all of them. */
export function isPerChannel(value: Value, shape: readonly number[], axis: number): boolean {
  if (value.constant === undefined || value.dtype !== 'float32') return false;
  const before = shape.length - value.shape.length;
  return (
    before >= 0 && value.shape.every((size, i) => size === 1 || (i + before === axis && size === shape[axis]))
  );
}

/** As many values as there are channels. */
export function spread(values: ArrayLike<number>, channels: number): number[] {
  return Array.from({length: channels}, (_, i) => (values.length === 1 ? values[0] : values[i]));
}

/** Values times factors: each factor is of `inner` values in turn, and the factors begin anew behind the last one. */
export function scaled(values: ArrayLike<number>, factors: readonly number[], inner: number): Float32Array {
  const products = new Float32Array(values.length);
  for (let i = 0, channel = 0, left = inner; i < values.length; ++i) {
    products[i] = values[i] * factors[channel];
    if (--left > 0) continue;
    left = inner;
    if (++channel === factors.length) channel = 0;
  }
  return products;
}
