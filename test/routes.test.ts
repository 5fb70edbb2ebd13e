// What is kept of the calls seen: each has a route and a count of its own, whatever their order and their families.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {OWN_KERNELS} from '../src/convKernels.ts';
import {type ConvCall, type ConvRoute, convolutions, type FusedConvAttributes} from '../src/convolution.ts';
import type {Call, CallContext, Family} from '../src/family.ts';
import {Routes} from '../src/routes.ts';

const [OWN_KERNEL] = OWN_KERNELS;
const CONTEXT: CallContext = {target: 'cpu', algorithm: 'auto', winograd: true};
const ATTRIBUTES: FusedConvAttributes = {strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 1};

const tensor = (...shape: number[]): TensorInfo => ({dataId: {}, shape, dtype: 'float32'});

const family = convolutions({
  kernels: [OWN_KERNEL],
  stock: {readAny: true, planar: true, unpacked: true},
  compute: () => tensor(),
});

function find(routes: Routes, width: number, attributes: Partial<FusedConvAttributes> = {}) {
  const call: ConvCall = {
    inputs: {x: tensor(1, 5, width, 3), filter: tensor(3, 3, 3, 4)},
    attrs: {...ATTRIBUTES, ...attributes},
    backend: {},
  };
  return (routes.find(family, OWN_KERNEL, call, CONTEXT) as ConvRoute).geometry;
}

const widths = (routes: Routes) =>
  routes.report().map((record) => [(record as unknown as {xShape: number[]}).xShape[2], record.calls]);

test('calls in any order have their own routes and counts', () => {
  const routes = new Routes('cpu');
  for (const width of [5, 6, 5, 7, 5, 6, 6, 5, 7]) {
    expect(find(routes, width).outWidth).toBe(width);
  }
  expect(widths(routes)).toEqual([
    [5, 4],
    [6, 3],
    [7, 2],
  ]);
});

test('what differs in one attribute alone is another convolution', () => {
  const routes = new Routes('cpu');
  for (let pass = 0; pass < 3; ++pass) {
    expect(find(routes, 9).outWidth).toBe(9);
    expect(find(routes, 9, {strides: 2}).outWidth).toBe(5);
    expect(find(routes, 9, {strides: [1, 2]}).outHeight).toBe(5);
    expect(find(routes, 9, {pad: 'valid'}).outWidth).toBe(7);
    expect(find(routes, 9, {pad: 0}).outWidth).toBe(7);
    expect(find(routes, 9, {dilations: 2, pad: 'valid'}).outWidth).toBe(5);
    expect(() => find(routes, 9, {pad: '0' as 'same'})).toThrow('pad');
  }
  expect(routes.report().map(({calls}) => calls)).toEqual([3, 3, 3, 3, 3, 3]);
});

test('what was forgotten is planned, and counted, anew', () => {
  const routes = new Routes('cpu', undefined, 2);
  for (const width of [5, 6, 7, 5, 6, 7]) expect(find(routes, width).outWidth).toBe(width);
  expect(widths(routes)).toEqual([
    [6, 1],
    [7, 1],
  ]);
});

test('families take turns', () => {
  const relu = {name: 'Relu', op: 'tf.relu'};
  const unary: Family = {
    kernels: [relu],
    sign: (signature, {inputs}: Call<{x: TensorInfo}>) => signature.tensor(inputs.x),
    plan: (_kernel, {inputs}: Call<{x: TensorInfo}>) =>
      inputs.x.dtype === 'float32' ? {plan: {algorithm: 'unary'}} : {reason: 'dtype'},
    record: ({inputs}: Call<{x: TensorInfo}>) => ({shape: [...inputs.x.shape]}),
    compute: () => tensor(),
  };
  const routes = new Routes('cpu');
  const call = (x: TensorInfo) => routes.find(unary, relu, {inputs: {x}, attrs: {}, backend: {}}, CONTEXT);
  for (let pass = 0; pass < 3; ++pass) {
    expect(find(routes, 5).outWidth).toBe(5);
    expect(call(tensor(2, 3))).toMatchObject({plan: {algorithm: 'unary'}});
    expect(find(routes, 6).outWidth).toBe(6);
    expect(call({...tensor(2, 3), dtype: 'int32'})).toMatchObject({reason: 'dtype'});
  }
  expect(routes.report()).toMatchObject([
    {kernelName: 'Im2winConv2D', calls: 3},
    {kernelName: 'Relu', backend: 'cpu', shape: [2, 3], algorithm: 'unary', calls: 3},
    {kernelName: 'Im2winConv2D', calls: 3},
    {kernelName: 'Relu', shape: [2, 3], algorithm: 'stock', reason: 'dtype', calls: 3},
  ]);
});
