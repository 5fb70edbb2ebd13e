// What is kept of the convolutions seen: whatever the order of the calls, each has its own route and count.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {CpuContext} from '../src/plan.ts';
import {type FusedConvAttributes, Routes} from '../src/routes.ts';
import {OWN_KERNEL} from '../src/tfjsKernels.ts';

const CONTEXT: CpuContext = {backend: 'cpu', algorithm: 'auto', winograd: true};
const ATTRIBUTES: FusedConvAttributes = {strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 1};

const tensor = (...shape: number[]): TensorInfo => ({dataId: {}, shape, dtype: 'float32'});

function find(routes: Routes, width: number, attributes: Partial<FusedConvAttributes> = {}) {
  const inputs = {x: tensor(1, 5, width, 3), filter: tensor(3, 3, 3, 4)};
  return routes.find(OWN_KERNEL, inputs, {...ATTRIBUTES, ...attributes}, CONTEXT);
}

test('calls in any order have their own routes and counts', () => {
  const routes = new Routes('cpu');
  for (const width of [5, 6, 5, 7, 5, 6, 6, 5, 7]) {
    expect(find(routes, width).geometry.outWidth).toBe(width);
  }
  expect(routes.report().map(({xShape, calls}) => [xShape[2], calls])).toEqual([
    [5, 4],
    [6, 3],
    [7, 2],
  ]);
});

test('what differs in one attribute alone is another convolution', () => {
  const routes = new Routes('cpu');
  for (let pass = 0; pass < 3; ++pass) {
    expect(find(routes, 9).geometry.outWidth).toBe(9);
    expect(find(routes, 9, {strides: 2}).geometry.outWidth).toBe(5);
    expect(find(routes, 9, {strides: [1, 2]}).geometry.outHeight).toBe(5);
    expect(find(routes, 9, {pad: 'valid'}).geometry.outWidth).toBe(7);
    expect(find(routes, 9, {pad: 0}).geometry.outWidth).toBe(7);
    expect(find(routes, 9, {dilations: 2, pad: 'valid'}).geometry.outWidth).toBe(5);
    expect(() => find(routes, 9, {pad: '0' as 'same'})).toThrow('pad');
  }
  expect(routes.report().map(({calls}) => calls)).toEqual([3, 3, 3, 3, 3, 3]);
});

test('what was forgotten is planned, and counted, anew', () => {
  const routes = new Routes('cpu', undefined, 2);
  for (const width of [5, 6, 7, 5, 6, 7]) expect(find(routes, width).geometry.outWidth).toBe(width);
  expect(routes.report().map(({xShape, calls}) => [xShape[2], calls])).toEqual([
    [6, 1],
    [7, 1],
  ]);
});
