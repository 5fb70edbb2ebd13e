// Random calls of the kernels that reduce and resize.
import fc from 'fast-check';
import type {Flavour} from '../../src/index.ts';
import {type AroundCase, expectNear, expectOutcome, operand, operandsOf} from '../aroundCases.ts';
import {size} from '../tf.ts';
import type {FuzzRow} from './row.ts';
import {aroundRow} from './served.ts';

const upTo = (max: number) => fc.integer({min: 1, max});
const image = fc.tuple(upTo(2), upTo(17), upTo(17), upTo(40));
const pair = (max: number) => fc.tuple(upTo(max), upTo(max));

const reductions = fc
  .record({
    kernelName: fc.constantFrom('Max', 'Min', 'Sum', 'Mean'),
    shape: fc.array(upTo(9), {minLength: 1, maxLength: 5}),
    // One axis may be long.
    long: fc.oneof(fc.constant(1), upTo(200)),
    which: fc.nat({max: 31}),
    keepDims: fc.boolean(),
  })
  .map(({kernelName, shape, long, which, keepDims}): AroundCase => {
    const own = shape.map((all, i) => (i === which % shape.length ? all * long : Math.min(all, 6)));
    const axis = [...shape.keys()].filter((i) => (which >> i) & 1);
    const attrs = kernelName === 'Max' ? {reductionIndices: axis, keepDims} : {axis, keepDims};
    const plain = kernelName === 'Sum' || kernelName === 'Mean' ? {plain: true as const} : {};
    return {kernelName, inputs: {x: operand(own)}, attrs, ...plain};
  });

const resizes = fc
  .record({
    kernelName: fc.constantFrom('ResizeBilinear', 'ResizeNearestNeighbor'),
    image,
    size: pair(40),
    alignment: fc.constantFrom({}, {alignCorners: true}, {halfPixelCenters: true}),
  })
  .map(({kernelName, image, size, alignment}): AroundCase => {
    const attrs = {size, alignCorners: false, halfPixelCenters: false, ...alignment};
    const plain = kernelName === 'ResizeBilinear' ? {plain: true as const} : {};
    return {kernelName, inputs: {images: operand(image)}, attrs, ...plain};
  });

/** Of values up to 1: by how much a value may differ for each value that is added, or interpolated. */
function toleranceOf(one: AroundCase, outputs: number): number {
  const [{shape}] = operandsOf(one);
  switch (one.kernelName) {
    case 'Sum':
      return 4 * 2 ** -24 * (size(shape) / outputs);
    case 'Mean':
      return 4 * 2 ** -24;
    default:
      return 16 * 2 ** -24;
  }
}

export function windowsRow(simd: Flavour): FuzzRow<AroundCase> {
  return aroundRow('windows', simd, fc.oneof(reductions, resizes), (one, got, expected) => {
    if (!one.plain) return expectOutcome(one, got, expected);
    const tolerance = toleranceOf(one, Math.max(1, size(expected[0].shape)));
    expectNear(one, got, expected, () => tolerance);
  });
}
