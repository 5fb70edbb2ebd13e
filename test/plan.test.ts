// What the plan promises of every convolution, whatever it chooses.
import {planName} from '../bench/accuracy.ts';
import {geometryOf} from '../bench/geometry.ts';
import {readLayers} from '../bench/layers.ts';
import {candidatePlans} from '../src/candidates.ts';
import {expectedCost, leastCost} from '../src/cost.ts';
import {type ConvGeometry, convGeometry} from '../src/geometry.ts';
import type {PlanContext} from '../src/plan.ts';
import {planFull} from '../src/planner.ts';

const contexts: PlanContext[] = [
  {target: 'relaxed', algorithm: 'auto', winograd: true},
  {target: 'strict', algorithm: 'auto', winograd: true},
  {target: 'cpu', algorithm: 'auto', winograd: true},
];
const [wasm] = contexts;

const geometries = (): [string, ConvGeometry][] => [
  ...[...readLayers('paper'), ...readLayers('corpus')].map((layer): [string, ConvGeometry] => [
    layer.name,
    geometryOf(layer),
  ]),
  ['a long row', convGeometry([1, 1, 100_000, 64], [1, 3, 64, 64], {strides: 1, pad: 'same'})],
  [
    'a long row, dilated',
    convGeometry([1, 1, 50_000, 64], [1, 3, 64, 64], {strides: 1, dilations: [1, 7], pad: 'same'}),
  ],
  ['a long row, windows apart', convGeometry([1, 1, 50_000, 64], [1, 2, 64, 8], {strides: [1, 5], pad: 3})],
  [
    'dilated along the height',
    convGeometry([1, 16, 16, 512], [3, 3, 512, 64], {strides: 1, dilations: [64, 1], pad: 'same'}),
  ],
  ['tall', convGeometry([1, 60_000, 2, 32], [9, 2, 32, 8], {strides: 1, pad: 'same'})],
];

function im2colBytes({batchSize, outHeight, outWidth, filterHeight, filterWidth, inChannels}: ConvGeometry) {
  return 4 * batchSize * outHeight * outWidth * filterHeight * filterWidth * inChannels;
}

test.each(contexts.slice(0, 2))('the workspace is at most a tenth of im2col, or 256 KiB: %j', (context) => {
  for (const [name, geometry] of geometries()) {
    const allowed = Math.max(256 * 1024, 0.1 * im2colBytes(geometry));
    for (const plan of candidatePlans(geometry, context)) {
      const bytes =
        plan.algorithm === 'winograd'
          ? plan.columnBytes + plan.inputRows * plan.inputRowBytes + plan.productBytes
          : plan.stripBytes;
      if (bytes > allowed) throw new Error(`${name}, ${plan.algorithm}: ${bytes} bytes, allowed ${allowed}`);
    }
  }
});

const deep = () => convGeometry([1, 28, 28, 512], [3, 3, 512, 512], {strides: 1, pad: 'same'});
const FILTER_BYTES = 4 * 9 * 512 * 512;

test('a large packed filter is at most twice the filter, unless more is allowed', () => {
  const packed = (context: PlanContext) =>
    candidatePlans(deep(), context).map(({panelBytes}) => panelBytes / FILTER_BYTES);
  // F(4,3) and F(2,3) along the width, F(2×2, 3×3), of [1, 8/3, 2, 4/3] and those of both axes.
  expect(packed(wasm)).toEqual([1, 2, 4 / 3, 16 / 9]);
  expect(packed({...wasm, maxPackedFilterBytes: 3 * FILTER_BYTES})).toEqual([
    1,
    8 / 3,
    2,
    4 / 3,
    24 / 9,
    16 / 9,
    24 / 9,
  ]);
  expect(packed({...wasm, maxPackedFilterBytes: 1.5 * FILTER_BYTES})).toEqual([1, 4 / 3]);
  expect(packed({...wasm, maxPackedFilterBytes: 0})).toEqual([1]);
});

test('nothing is kept that tfjs would not have room for', () => {
  for (const [name, geometry] of geometries()) {
    const {filterHeight, filterWidth, inChannels, outChannels, outHeight, outWidth} = geometry;
    const taps = filterHeight * filterWidth;
    const stock = 4 * taps * (2 * inChannels * outChannels + outHeight * outWidth);
    for (const context of contexts.slice(0, 2)) {
      for (const plan of candidatePlans(geometry, context)) {
        if (plan.algorithm === 'im2win' || plan.repacks || plan.panelBytes <= stock) continue;
        throw new Error(`${name}, ${planName(plan)}: ${plan.panelBytes} bytes, of tfjs's ${stock}`);
      }
    }
  }
});

test('a training step keeps no packed filter', () => {
  const plans = candidatePlans(deep(), {...wasm, filtersChange: true});
  expect(plans.map(({repacks}) => repacks)).toEqual(plans.map(() => true));
});

test.each(contexts)('no plan costs less than its form does at least: %j', (context) => {
  for (const [name, geometry] of geometries()) {
    for (const plan of candidatePlans(geometry, context)) {
      if (plan.algorithm === 'im2win') continue;
      const least = leastCost(geometry, plan, plan.target) * (1 - 16 * Number.EPSILON);
      if (expectedCost(geometry, plan) < least) throw new Error(`${name}, ${planName(plan)}`);
    }
  }
});

test.each(contexts)('of all candidates the one that costs least is taken: %j', (context) => {
  for (const [name, geometry] of geometries()) {
    const [im2win, ...winograd] = candidatePlans(geometry, context);
    const leastOf = (plans: typeof winograd | [typeof im2win]) =>
      Math.min(...plans.map((plan) => expectedCost(geometry, plan)));
    const taken = (algorithm: PlanContext['algorithm']) =>
      expectedCost(geometry, planFull(geometry, {...context, algorithm}));
    expect([name, taken('im2win')]).toEqual([name, leastOf([im2win])]);
    expect([name, taken('winograd')]).toEqual([name, leastOf(winograd.length > 0 ? winograd : [im2win])]);
    const plain = leastOf([im2win]);
    const little = plain < im2win.target.leastWinogradSteps;
    expect([name, taken('auto')]).toEqual([name, little ? plain : Math.min(plain, leastOf(winograd))]);
  }
});

test.each(contexts)('winograd: false is plain im2win everywhere: %j', (context) => {
  for (const [, geometry] of geometries()) {
    expect(planFull(geometry, {...context, winograd: false}).algorithm).toBe('im2win');
  }
});

test('the choice: fewer multiplications where they pay, plain im2win where they do not', () => {
  const choice = (size: number, inChannels: number, filter: number, outChannels: number) => {
    const plan = planFull(
      convGeometry([1, size, size, inChannels], [filter, filter, inChannels, outChannels], {
        strides: 1,
        pad: 'valid',
      }),
      wasm,
    );
    return planName(plan);
  };
  expect(choice(112, 64, 3, 128)).toBe('F(4×6,3×3)');
  expect(choice(24, 96, 5, 256)).toBe('F(4×4,5×5)');
  expect(choice(224, 3, 3, 64)).toBe('F(4,3)');
  expect(choice(56, 64, 1, 64)).toBe('im2win');
  // An image of five by five: the filter's traffic decides.
  expect(choice(7, 512, 3, 512)).not.toBe('F(4×6,3×3)');
});
