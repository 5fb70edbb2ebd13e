// The kernels that reduce axes: what each of their calls is known by, what is valid, and what is reduced.
import {Max, Mean, Min, Sum} from '@tensorflow/tfjs-core';
import {type AroundKernel, axisOf, INVALID, inputOf, isSmall, refuse} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {type ReductionKind, reductionLoad, reductionOf, reductionScratch} from './reduction.ts';
import type {TensorSpec} from './tensorSpec.ts';

/** Unchecked. */
export interface ReduceAttributes {
  readonly axis?: number | readonly number[] | null;
  /** What Max calls its axes. */
  readonly reductionIndices?: number | readonly number[] | null;
  readonly keepDims?: boolean;
}

const axesIn = (attrs: ReduceAttributes | undefined) => attrs?.axis ?? attrs?.reductionIndices;

/** @returns The axes that are reduced, in their order; all where none are named. Or why there are none. */
function axesOf(asked: ReduceAttributes['axis'], shape: readonly number[]): number[] | string {
  if (asked == null) return [...shape.keys()];
  const axes = (typeof asked === 'number' ? [asked] : [...asked]).map((axis) => axisOf(axis, shape.length));
  const own = axes.filter((axis) => axis !== undefined);
  if (own.length < axes.length) return INVALID;
  return new Set(own).size < own.length ? refuse('axis', asked, shape) : own.sort((a, b) => a - b);
}

// Values that tfjs has reduced before a route is found, and rows that it adds up as fast: it moves nothing first
// where only the last axis goes.
const FEW = 256;
const SHORT_ROW = 24;

/** Whether the last axis is the only one that goes. */
function isLast(axis: ReduceAttributes['axis'], rank: number): boolean {
  if (axis == null) return true;
  const own = typeof axis === 'number' ? axis : axis.length === 1 ? axis[0] : undefined;
  return own === -1 || own === rank - 1;
}

/* @__NO_SIDE_EFFECTS__ */
function kernelOf(name: string, op: string, kind: ReductionKind): AroundKernel<ReduceAttributes> {
  return {
    name,
    op,
    inputs: ['x'],
    sign(signature, {attrs}) {
      signature.list(axesIn(attrs));
      signature.add(attrs?.keepDims);
    },
    leaves({inputs, attrs}) {
      const shape = inputOf(inputs, 'x')?.shape;
      // tfjs does not write the output where there is nothing to add.
      return isSmall(shape, FEW) && !shape?.includes(0) && isLast(axesIn(attrs), shape?.length ?? 0);
    },
    /** Of nothing: as tfjs's cpu backend has it. */
    value: () => (kind === 'sum' || kind === 'mean' ? 0 : Number.NaN),
    plan([x], attrs) {
      const {shape, dtype} = x as TensorSpec;
      const axes = axesOf(axesIn(attrs), shape);
      if (typeof axes === 'string') return axes;
      if (dtype !== 'float32') return `x has dtype ${dtype}`;
      const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
      const outShape = attrs.keepDims ? kept : shape.filter((_, axis) => !axes.includes(axis));
      const outputs = [{shape: outShape, dtype}];
      if (sizeOf(shape) === 0) {
        return {
          algorithm: 'fill',
          outputs,
          work: {record: 'move', move: {kind: 'fill', bytes: 4 * sizeOf(outShape)}},
        };
      }
      const reduction = reductionOf(shape, axes, kind);
      if (typeof reduction === 'string') return reduction;
      const {rows, columns, repeats} = reduction;
      const isShort = rows < SHORT_ROW && columns === 1 && repeats.length === 0;
      if (isShort && (kind === 'sum' || kind === 'mean')) return 'tfjs adds up short rows as fast';
      return {
        algorithm: 'reduce',
        outputs,
        work: {record: 'reduce', reduction},
        load: reductionLoad(reduction),
        scratchBytes: reductionScratch(reduction),
      };
    },
  };
}

export const REDUCE_KERNELS: readonly AroundKernel[] = [
  /* @__PURE__ */ kernelOf(Mean, 'tf.mean', 'mean'),
  /* @__PURE__ */ kernelOf(Sum, 'tf.sum', 'sum'),
  /* @__PURE__ */ kernelOf(Max, 'tf.max', 'max'),
  /* @__PURE__ */ kernelOf(Min, 'tf.min', 'min'),
];
