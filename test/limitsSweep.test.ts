// What the sweep over limits is measured by: its sampled reference, against the plain one, and its judgement. The
// sweep itself is npm run test:limits.
import type {Outcome} from './limits/child.ts';
import {type Ending, judge} from './limits/judge.ts';
import {type LimitCall, type Op, resultShape, sizeOf, sizesOf} from './limits/limitCase.ts';
import {countProducts, sampleCall} from './limits/sampled.ts';
import {convolve, gradients, type Problem} from './reference.ts';
import {floats} from './tf.ts';

const callOf = (op: Op, rest: Partial<LimitCall> = {}): LimitCall => ({
  op,
  xShape: [1, 4, 5, 2],
  filterShape: [3, 2, 2, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pad: 'same',
  dataFormat: 'NHWC',
  ...rest,
});

const WINDOWS: Partial<LimitCall>[] = [
  {},
  {strides: [2, 3]},
  {
    pad: [
      [0, 0],
      [3, 1],
      [-1, 4],
      [0, 0],
    ],
    strides: [2, 1],
  },
];

function problemOf(call: LimitCall): Problem {
  const {rows, columns} = sizesOf(call);
  return {
    xShape: call.xShape as Problem['xShape'],
    filterShape: call.filterShape as Problem['filterShape'],
    strides: call.strides,
    dilations: call.dilations,
    padding: [rows.pad, columns.pad],
    outHeight: rows.output,
    outWidth: columns.output,
  };
}

test.each([...WINDOWS, {dilations: [2, 3]} as const])('samples an output: %j', (rest) => {
  const call = callOf('conv2d', rest);
  const [x, filter] = [floats(40, 1), floats(36, 2)];
  const {sums, magnitudes} = convolve(problemOf(call), x, filter);
  const samples = sampleCall(call, {x, filter});
  expect(samples).toHaveLength(sums.length);
  for (const {index, value, magnitude} of samples) {
    expect(value).toBeCloseTo(sums[index], 12);
    expect(magnitude).toBeCloseTo(magnitudes[index], 12);
  }
  const ones = convolve(problemOf(call), x.map(() => 1), filter.map(() => 1)); // biome-ignore format: one line
  expect(countProducts(sizesOf(call))).toBe(ones.sums.reduce((a, b) => a + b, 0));
});

test.each(
  WINDOWS.flatMap((rest) => [
    ['Conv2DBackpropInput', 'Conv2DBackpropFilter', undefined, rest] as const,
    ['DepthwiseConv2dNativeBackpropInput', 'DepthwiseConv2dNativeBackpropFilter', 3, rest] as const,
  ]),
)('samples gradients: %s, %s', (ofInput, ofFilter, multiplier, rest) => {
  const call = callOf(ofInput, rest);
  const [x, filter] = [floats(40, 1), floats(36, 2)];
  const dy = floats(sizeOf(sizesOf(call).outShape), 3);
  const expected = gradients(problemOf(call), x, filter, dy, multiplier);
  for (const {index, value} of sampleCall(call, {filter, dy}))
    expect(value).toBeCloseTo(expected.x[index], 12);
  const filterSamples = sampleCall({...call, op: ofFilter}, {x, dy});
  expect(filterSamples).toHaveLength(36);
  for (const {index, value} of filterSamples) expect(value).toBeCloseTo(expected.filter[index], 12);
});

test('a position of NCHW is one of its planes', () => {
  const call = callOf('conv2d', {xShape: [1, 2, 4, 5], dataFormat: 'NCHW'});
  const [x, filter] = [floats(40, 1), floats(36, 2)];
  const planes = new Float32Array(40);
  x.forEach((value, i) => {
    planes[(i % 2) * 20 + Math.floor(i / 2)] = value;
  });
  const {sums} = convolve(problemOf(callOf('conv2d')), x, filter);
  for (const {index, value} of sampleCall(call, {x: planes, filter})) {
    expect(value).toBeCloseTo(sums[(index % 20) * 3 + Math.floor(index / 20)], 12);
  }
});

test('samples of a large result are where something meets, and at the corners', () => {
  const call = callOf('conv2dTranspose', {
    xShape: [1, 2 ** 16, 2 ** 14, 1],
    filterShape: [1, 1, 1, 1],
    strides: [2 ** 16, 2 ** 16],
  });
  const samples = sampleCall(call, {filter: [2], dy: [3]});
  expect(samples.filter(({value}) => value !== 0).map(({value}) => value)).toContain(6);
  expect(samples.map(({index}) => index)).toEqual(expect.arrayContaining([0, sizeOf(resultShape(call)) - 1]));
});

describe('a call', () => {
  const call = callOf('conv2d');
  const outcome = (kind: Outcome['kind'], more: Partial<Outcome> = {}): Outcome => ({
    kind,
    message: '',
    milliseconds: 1,
    peakGrowth: 0,
    heapGrowth: 0,
    heapBefore: 0,
    ...more,
  });
  const right = outcome('right');

  test.each<[string, Ending]>([
    ['right', right],
    ['refused clearly', outcome('clear error')],
    ['as slow as stock and a little more', outcome('right', {milliseconds: 90})],
  ])('may be %s', (_, ours) => expect(judge(call, ours, right)).toBeUndefined());

  test.each<[RegExp, Ending]>([
    [/^wrong/, outcome('wrong')],
    [/^corrupts/, outcome('corrupts')],
    [/^unclear error/, outcome('unclear error')],
    [/^crashes/, {kind: 'crash', message: ''}],
    [/^hangs/, {kind: 'hang', message: ''}],
    [/^takes memory/, {kind: 'memory', message: ''}],
    [/^slow: 400 ms of 101 allowed/, outcome('right', {milliseconds: 400})],
    [/^slow/, outcome('clear error', {milliseconds: 400})],
    [/^takes 70 MiB of 64 MiB allowed/, outcome('right', {peakGrowth: 70 * 2 ** 20})],
    [/^takes 90 MiB of 64 MiB allowed/, outcome('clear error', {heapGrowth: 90 * 2 ** 20})],
  ])('must not be: %s', (failure, ours) => expect(judge(call, ours, right)).toMatch(failure));

  test('may take what stock takes', () => {
    const stock = outcome('right', {milliseconds: 5000, peakGrowth: 2 ** 30});
    expect(judge(call, outcome('right', {milliseconds: 5050, peakGrowth: 2 ** 30}), stock)).toBeUndefined();
    expect(judge(call, outcome('right', {milliseconds: 5050}), {kind: 'hang', message: ''})).toMatch(/^slow/);
  });
});
