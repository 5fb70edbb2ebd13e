// What holds of every kernel around a convolution while im2win is registered.
import {getKernel} from '@tensorflow/tfjs-core';
import {AROUND_KERNELS} from '../src/around.ts';
import type {AroundKernel} from '../src/aroundKernel.ts';
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {wasmAround} from '../src/wasm/around.ts';
import {type AroundCase, run} from './aroundCases.ts';

/** Registers, makes a call, and expects tfjs's own kernels to be in their places afterwards, and no byte kept. */
export async function expectReplaced(kernels: readonly AroundKernel[], call: () => void): Promise<void> {
  const current = () => kernels.map(({name}) => getKernel(name, 'wasm'));
  const stock = current();
  expect(stock).not.toContain(undefined);
  const {unregister, memory} = await registerIm2win({numThreads: 1});
  for (const [i, kernel] of current().entries()) expect(kernel).not.toBe(stock[i]);
  call();
  expect(memory().ownBytes).toBeGreaterThan(0);
  unregister();
  expect(memory().ownBytes).toBe(0);
  for (const [i, kernel] of current().entries()) expect(kernel).toBe(stock[i]);
}

/** Expects a call to fail, with the error that it has by tfjs's own kernel. */
export function expectFailure(one: AroundCase, {setAlgorithm}: Im2winRegistration): void {
  const failure = () => {
    try {
      run(one);
    } catch (error) {
      return `${error}`;
    }
    return 'none';
  };
  const own = failure();
  setAlgorithm('stock');
  expect(own).toBe(failure());
  expect(own).not.toBe('none');
}

/** Whether a call is left to tfjs before a route is looked for. */
export function isLeft({kernelName, inputs, attrs = {}}: AroundCase, sharedHeap: boolean): boolean {
  const family = wasmAround(() => {
    throw new Error('no state is needed');
  });
  const kernel = AROUND_KERNELS.find(({name}) => name === kernelName) as AroundKernel;
  const buffer = sharedHeap ? new SharedArrayBuffer(8) : new ArrayBuffer(8);
  return family.leaves?.(kernel, {inputs, attrs, backend: {wasm: {HEAPU8: new Uint8Array(buffer)}}}) ?? false;
}
