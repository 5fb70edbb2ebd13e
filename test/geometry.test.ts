// Attributes to geometry, and what it refuses.
import {type ConvAttributes, convGeometry} from '../src/geometry.ts';
import {operandStrides} from '../src/operand.ts';

const X = [1, 8, 9, 3];
const FILTER = [3, 2, 3, 5];

function geometry(attributes: Partial<ConvAttributes>, x = X, filter = FILTER) {
  return convGeometry(x, filter, {strides: 1, pad: 'valid', ...attributes});
}

test("takes tfjs's sizes, also where they are a rule of tfjs's own", () => {
  expect(geometry({strides: [2, 1], pad: 'same'})).toMatchObject({
    outShape: [1, 4, 9, 5],
    padTop: 0,
    padBottom: 1,
    padLeft: 0,
    padRight: 1,
  });
  // tf.conv2d uses the filter's height for both sides where pad is a number.
  expect(geometry({pad: 1})).toMatchObject({outHeight: 8, outWidth: 9});
});

test('forgets a dilation along a side where the filter has one tap', () => {
  expect(geometry({dilations: [2, 3]}, X, [1, 2, 3, 5])).toMatchObject({dilationHeight: 1, dilationWidth: 3});
});

test.each<[string, Partial<ConvAttributes>, number[], number[]]>([
  ['x has shape of rank 3', {}, [8, 9, 3], FILTER],
  ['filter is shape \\[3,2,4,5\\]; allowed: shape\\[2\\] = 3', {}, X, [3, 2, 4, 5]],
  ['filter is shape \\[3,-2,3,5\\]; allowed: integers of at least 0', {}, X, [3, -2, 3, 5]],
  ['x is shape \\[1,8,NaN,3\\]', {}, [1, 8, Number.NaN, 3], FILTER],
  ['pad is 9007199254740990; allowed: one with which', {pad: 2 ** 53 - 2}, X, FILTER],
  ['strides is 0', {strides: 0}, X, FILTER],
  ['strides is \\[1, 1.5\\]', {strides: [1, 1.5]}, X, FILTER],
  ['strides is \\[2\\]', {strides: [2] as unknown as [number, number]}, X, FILTER],
  ['pad is \\[\\[0, 0\\], \\[1\\]', {pad: [[0, 0], [1], [1, 1], [0, 0]] as unknown as 'same'}, X, FILTER],
  ['dilations is -1', {dilations: -1}, X, FILTER],
  ["pad is 'full'", {pad: 'full' as 'same'}, X, FILTER],
  ['pad is 0.5', {pad: 0.5}, X, FILTER],
  ["dataFormat is NWC; allowed: 'NHWC' or 'NCHW'", {dataFormat: 'NWC' as 'NHWC'}, X, FILTER],
  ['would be -2 × 7', {}, [1, 0, 8, 3], FILTER],
])('refuses: %s', (message, attributes, x, filter) => {
  expect(() => geometry(attributes, x, filter)).toThrow(
    new RegExp(message.replace('x has shape', 'x is shape .*')),
  );
});

test('spreads an operand over the output as NumPy does', () => {
  const shape = geometry({}); // [1, 6, 8, 5]
  expect(operandStrides('bias', [5], shape)).toEqual({batch: 0, row: 0, pixel: 0, channel: 1});
  expect(operandStrides('bias', [], shape)).toEqual({batch: 0, row: 0, pixel: 0, channel: 0});
  expect(operandStrides('bias', [6, 8, 5], shape)).toEqual({batch: 0, row: 40, pixel: 5, channel: 1});
  expect(operandStrides('bias', [6, 1, 5], shape)).toEqual({batch: 0, row: 5, pixel: 0, channel: 1});
  expect(() => operandStrides('bias', [4], shape)).toThrow(
    "bias has shape [4]; allowed: a shape that broadcasts to the output's, [1,6,8,5].",
  );
  expect(() => operandStrides('bias', [1, 1, 6, 8, 5], shape)).toThrow('bias has shape [1,1,6,8,5]');
});
