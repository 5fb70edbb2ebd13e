// registerIm2win: options, one registration for all, routing and restoring.
import {getKernel, type KernelConfig, registerKernel, unregisterKernel} from '@tensorflow/tfjs-core';
import type * as Im2win from '../src/index.ts';
import {IM2WIN_CONV_2D, registerIm2win} from '../src/index.ts';
import {currentWasm, engineWithout, freshWasm, hostThatCompilesNothing, tf} from './tf.ts';

const STOCK = {
  Conv2D: getKernel('Conv2D', 'wasm'),
  FusedConv2D: getKernel('FusedConv2D', 'wasm'),
  DepthwiseConv2dNative: getKernel('DepthwiseConv2dNative', 'wasm'),
  FusedDepthwiseConv2D: getKernel('FusedDepthwiseConv2D', 'wasm'),
  Conv2DBackpropInput: getKernel('Conv2DBackpropInput', 'wasm'),
};

beforeEach(freshWasm);
afterEach(async () => {
  jest.restoreAllMocks();
  (await registerIm2win()).unregister();
  expect(getKernel('Conv2D', 'wasm')).toBe(STOCK.Conv2D);
  expect(getKernel('FusedConv2D', 'wasm')).toBe(STOCK.FusedConv2D);
  expect(getKernel('Conv2DBackpropInput', 'wasm')).toBe(STOCK.Conv2DBackpropInput);
  expect(getKernel('Conv2DBackpropFilter', 'wasm')).toBeUndefined();
  expect(getKernel(IM2WIN_CONV_2D, 'wasm')).toBeUndefined();
});

function conv(x: tf.Tensor4D, filter: tf.Tensor4D): number[] {
  return tf.tidy(() => [...tf.conv2d(x, filter, 1, 'same').dataSync()]);
}

const image = () => tf.reshape(tf.range(0, 18), [1, 3, 3, 2]) as tf.Tensor4D;
const kernel = () => tf.reshape(tf.range(0, 36), [3, 3, 2, 2]) as tf.Tensor4D;

function replace(name: string, config: KernelConfig): void {
  unregisterKernel(name, 'wasm');
  registerKernel(config);
}

test('routes both kernels, adds its own, and logs nothing', async () => {
  tf.env().set('IS_TEST', false); // tfjs warns of kernels that are registered twice.
  const warn = jest.spyOn(console, 'warn');
  const registration = await registerIm2win();
  const x = image();
  const filter = kernel();
  conv(x, filter);
  tf.fused.conv2d({x, filter, strides: 1, pad: 'same', activation: 'relu'});
  tf.engine().runKernel(IM2WIN_CONV_2D, {x, filter}, {strides: 1, pad: 'valid'});
  expect(registration.backends).toEqual(['wasm', 'cpu']);
  expect(registration.simd).toBe('relaxed');
  expect(registration.report()).toMatchObject([
    {kernelName: 'Conv2D', algorithm: 'im2win', pad: 'same', activation: 'linear', calls: 1},
    {kernelName: 'FusedConv2D', algorithm: 'im2win', activation: 'relu', calls: 1},
    {kernelName: 'Im2winConv2D', algorithm: 'im2win', pad: 'valid', outShape: [1, 1, 1, 2], calls: 1},
  ]);
  expect(warn).not.toHaveBeenCalled();
  tf.env().set('IS_TEST', true);
});

test('before setBackend, and after', async () => {
  tf.setBackend('cpu');
  tf.removeBackend('wasm');
  const registration = await registerIm2win();
  await freshWasm();
  const x = image();
  const filter = kernel();
  const values = conv(x, filter);
  expect(registration.report()).toMatchObject([{algorithm: 'im2win', calls: 1}]);
  registration.unregister();
  expect(conv(x, filter)).toEqual(values);
  const again = await registerIm2win();
  expect(conv(x, filter)).toEqual(values);
  expect(again.report()).toMatchObject([{algorithm: 'im2win', calls: 1}]);
});

describe('one registration', () => {
  test('for calls one after another, and at the same time', async () => {
    const [first, second] = await Promise.all([registerIm2win(), registerIm2win({simd: 'auto'})]);
    expect(second).toBe(first);
    expect(await registerIm2win({algorithm: 'auto', backends: ['cpu', 'wasm']})).toBe(first);
  });

  test('for a second copy of the module', async () => {
    const first = await registerIm2win();
    let copy: typeof Im2win | undefined;
    jest.isolateModules(() => {
      jest.doMock('@tensorflow/tfjs-core', () => tf);
      copy = require('../src/index.ts');
    });
    expect(copy?.registerIm2win).not.toBe(registerIm2win);
    expect(await copy?.registerIm2win()).toBe(first);
    await expect(copy?.registerIm2win({simd: 'strict'})).rejects.toThrow("simd is 'strict'");
  });

  test('or an error if the options differ', async () => {
    const options: Im2win.Im2winOptions = {simd: 'strict'};
    const first = await registerIm2win(options);
    await expect(registerIm2win({simd: 'relaxed'})).rejects.toThrow(
      "registerIm2win: simd is 'relaxed', but im2win is registered with 'strict'",
    );
    await expect(registerIm2win({algorithm: 'stock'})).rejects.toThrow("algorithm is 'stock'");
    options.simd = 'relaxed';
    await expect(registerIm2win(options)).rejects.toThrow("is registered with 'strict'");
    expect(await registerIm2win()).toBe(first);
    first.unregister();
    expect((await registerIm2win({simd: 'relaxed'})).simd).toBe('relaxed');
  });
});

/** As if a backend had not been imported, until what is returned is called. */
function without(backend: string): () => void {
  const kernels = tf.getKernelsForBackend(backend);
  for (const {kernelName} of kernels) unregisterKernel(kernelName, backend);
  return () => {
    for (const config of kernels) registerKernel(config);
  };
}

describe('a backend that is imported later', () => {
  test.each<[Im2win.Im2winOptions | undefined]>([
    [undefined],
    [{backends: ['wasm', 'cpu']}],
    [{backends: ['wasm']}],
  ])('is added to the one registration by a call with %j', async (options) => {
    const importWasm = without('wasm');
    const registration = await registerIm2win();
    expect(registration).toMatchObject({backends: ['cpu'], simd: 'none'});
    importWasm();
    expect(registration.status()).toContain('wasm: not served: it was imported after the last call');
    const calls = await Promise.all([registerIm2win(options), registerIm2win(options), registerIm2win()]);
    for (const call of calls) expect(call).toBe(registration);
    expect(registration).toMatchObject({backends: ['wasm', 'cpu'], simd: 'relaxed'});
    conv(image(), kernel());
    expect(registration.report()).toMatchObject([{backend: 'wasm', algorithm: 'im2win', calls: 1}]);
    expect(registration.memory().ownBytes).toBeGreaterThan(0);
    registration.unregister();
    expect(registration.memory().ownBytes).toBe(0);
  });

  test('by another copy of the module, with its own kernels', async () => {
    const importWasm = without('wasm');
    const registration = await registerIm2win();
    importWasm();
    let copy: typeof Im2win | undefined;
    jest.isolateModules(() => {
      jest.doMock('@tensorflow/tfjs-core', () => tf);
      copy = require('../src/index.ts');
    });
    expect(await copy?.registerIm2win()).toBe(registration);
    registration.setAlgorithm('stock');
    conv(image(), kernel());
    expect(registration.report()).toMatchObject([{backend: 'wasm', algorithm: 'stock'}]);
  });

  test('has the options of the first call, and the algorithm of now', async () => {
    const importWasm = without('wasm');
    const registration = await registerIm2win({simd: 'strict', winograd: false});
    registration.setAlgorithm('stock');
    importWasm();
    await expect(registerIm2win({simd: 'relaxed'})).rejects.toThrow("is registered with 'strict'");
    expect(registration.backends).toEqual(['cpu']);
    await registerIm2win();
    expect(registration).toMatchObject({backends: ['wasm', 'cpu'], simd: 'strict'});
    expect(() => registration.setAlgorithm('winograd')).toThrow('winograd is false');
    conv(image(), kernel());
    expect(registration.report()).toMatchObject([{algorithm: 'stock'}]);
  });

  test('is not added to a list of backends', async () => {
    const registration = await registerIm2win({backends: ['cpu']});
    expect(await registerIm2win()).toBe(registration);
    await expect(registerIm2win({backends: ['wasm']})).rejects.toThrow(
      "backends is ['wasm'], but im2win is registered with ['cpu']",
    );
    expect(registration.backends).toEqual(['cpu']);
    expect(registration.status()).toContain('wasm: not served: it is not in the option backends');
  });

  test('is not served by what was unregistered while it was added', async () => {
    const importWasm = without('wasm');
    const first = await registerIm2win();
    importWasm();
    const second = registerIm2win();
    first.unregister();
    expect(getKernel(IM2WIN_CONV_2D, 'wasm')).toBeUndefined();
    expect(await second).not.toBe(first);
    expect(first.backends).toEqual(['cpu']);
    expect((await second).backends).toEqual(['wasm', 'cpu']);
  });

  test('after a call that failed, which leaves nothing to later ones', async () => {
    engineWithout('relaxed');
    const failed = registerIm2win({simd: 'relaxed'});
    const next = registerIm2win();
    await expect(failed).rejects.toThrow('this engine does not have it');
    expect(await next).toMatchObject({simd: 'strict'});
    expect(await registerIm2win()).toBe(await next);
  });
});

describe('where the host compiles no WebAssembly', () => {
  beforeEach(hostThatCompilesNothing);

  test('cpu is served, and the reason told', async () => {
    const registration = await registerIm2win();
    expect(registration).toMatchObject({backends: ['cpu'], simd: 'none'});
    expect(getKernel(IM2WIN_CONV_2D, 'wasm')).toBeUndefined();
    expect(registration.status()).toContain('wasm: not served: this host forbids WebAssembly to be compiled');
    jest.restoreAllMocks();
    expect(await registerIm2win()).toBe(registration);
    expect(registration.status()).toContain('wasm: served, relaxed SIMD, one thread (');
  });

  test('it is an error if there is nothing else to serve', async () => {
    const importCpu = without('cpu');
    await expect(registerIm2win()).rejects.toThrow('this host forbids WebAssembly');
    importCpu();
  });
});

describe('status', () => {
  test('tells what is served, and counts', async () => {
    const registration = await registerIm2win({numThreads: 1});
    conv(image(), kernel());
    registration.setAlgorithm('stock');
    conv(image(), kernel());
    expect(registration.status().split('\n')).toEqual([
      'wasm: served, relaxed SIMD, one thread.',
      'cpu: served.',
      "Distinct convolutions seen: 1 routed, 1 on stock (1 because 'stock' was asked for); report() has the reasons.",
    ]);
    registration.unregister();
    expect(registration.status()).toBe("im2win is unregistered: every convolution is tfjs's own.");
    expect(registration.backends).toEqual(['wasm', 'cpu']);
    expect(registration.simd).toBe('relaxed');
    expect(registration.report()).toHaveLength(2);
  });

  test('says first that tfjs runs on another backend', async () => {
    const registration = await registerIm2win({backends: ['wasm']});
    tf.registerBackend('other', () => Object.assign(new tf.KernelBackend(), {dispose() {}}));
    await tf.setBackend('other');
    expect(registration.status()).toMatch(
      /^tfjs runs on 'other', which is not served: nothing is routed until await tf.setBackend\('wasm'\)\.\n/,
    );
    await tf.setBackend('cpu');
    tf.removeBackend('other');
    expect(registration.status()).toMatch(
      /^tfjs runs on 'cpu', which is not served: nothing is routed\.\n.*\ncpu: not served: it is not in the option/,
    );
  });

  test('tells of a backend that was removed', async () => {
    const registration = await registerIm2win({backends: ['cpu']});
    const factory = tf.findBackendFactory('cpu');
    tf.removeBackend('cpu');
    expect(registration.status()).toContain("tfjs runs on 'wasm', which is not served: nothing is routed.\n");
    expect(registration.status()).toContain('cpu: served once it is registered again: tf.removeBackend()');
    tf.registerBackend('cpu', factory);
    expect(registration.status()).toContain('\ncpu: served.\n');
  });

  test('on an engine without SIMD', async () => {
    engineWithout('relaxed', 'strict');
    expect((await registerIm2win({backends: ['wasm']})).status().split('\n').slice(0, 2)).toEqual([
      "tfjs runs on 'wasm', which is not served: nothing is routed.",
      'wasm: not served: this engine has no SIMD.',
    ]);
  });
});

describe('refuses', () => {
  test.each([
    [{simd: 'fast'}, `simd is 'fast'; allowed: 'auto', 'relaxed', 'strict'`],
    [{algorithm: 'fft'}, `algorithm is 'fft'; allowed: 'auto', 'im2win', 'winograd', 'stock'`],
    [{backends: ['webgl']}, `backends is 'webgl'; allowed: 'wasm', 'cpu'`],
    [{backends: []}, 'backends is []'],
    [
      {algoritm: 'stock'},
      `an option is 'algoritm'; allowed: 'backends', 'numThreads', 'workerUrl', 'simd', 'algorithm'`,
    ],
    [{numThreads: 0}, 'numThreads is 0; allowed: a whole number from 1 to 16'],
    [{numThreads: 17}, 'numThreads is 17'],
    [{numThreads: '2'}, "numThreads is '2'"],
    [{workerUrl: ''}, "workerUrl is ''; allowed: a URL, as a string that is not empty"],
    [{winograd: 'no'}, "winograd is 'no'; allowed: true, false"],
    [{winograd: false, algorithm: 'winograd'}, "algorithm is 'winograd', but winograd is false"],
    [{maxPackedFilterBytes: -1}, 'maxPackedFilterBytes is -1; allowed: a number of at least 0'],
    [{maxPackedFilterBytes: Number.NaN}, 'maxPackedFilterBytes is NaN'],
    [[], 'options is []; allowed: an object'],
    [{simd: 1n}, "simd is 1n; allowed: 'auto', 'relaxed', 'strict'"],
    [{simd: () => 'auto'}, "simd is a function; allowed: 'auto', 'relaxed', 'strict'"],
    [{maxPackedFilterBytes: '8'}, "maxPackedFilterBytes is '8'; allowed: a number of at least 0"],
    ['wasm', "options is 'wasm'; allowed: an object"],
    [null, 'options is null; allowed: an object'],
    [{backends: 'wasm'}, "backends is 'wasm'; allowed: a list"],
  ])('%j', async (options, message) => {
    await expect(registerIm2win(options as Im2win.Im2winOptions)).rejects.toThrow(message);
  });

  test('an algorithm that is none', async () => {
    const registration = await registerIm2win();
    expect(() => registration.setAlgorithm('fft' as 'auto')).toThrow("setAlgorithm: algorithm is 'fft'");
  });

  test('a call without a filter', async () => {
    await registerIm2win();
    const run = () => tf.engine().runKernel(IM2WIN_CONV_2D, {x: image()}, {strides: 1, pad: 'same'});
    expect(run).toThrow('filter is undefined; allowed: a tensor');
  });

  test('to register where no backend was imported, and can be called again', async () => {
    const importWasm = without('wasm');
    await expect(registerIm2win({backends: ['wasm']})).rejects.toThrow(
      "Import '@tensorflow/tfjs-backend-wasm'",
    );
    expect((await registerIm2win()).backends).toEqual(['cpu']);
    (await registerIm2win()).unregister();
    importWasm();
    expect((await registerIm2win()).backends).toEqual(['wasm', 'cpu']);
  });

  test('a build of tfjs without convolutions, whose other kernels are ours all the same', async () => {
    const importWasm = without('wasm');
    registerKernel({...(getKernel('Slice', 'cpu') as KernelConfig), backendName: 'wasm'});
    const registration = await registerIm2win();
    expect(registration.backends).toEqual(['wasm', 'cpu']);
    expect([...tf.slice(tf.tensor1d([1, 2, 3]), [1], [2]).dataSync()]).toEqual([2, 3]);
    expect(registration.report({all: true})).toMatchObject([{kernelName: 'Slice', algorithm: 'copy'}]);
    registration.unregister();
    unregisterKernel('Slice', 'wasm');
    importWasm();
  });

  test.each([
    ['dtype', {x: () => tf.zeros([1, 3, 3, 2], 'int32')}, {}, 'x has dtype int32; allowed: float32'],
    ['activation', {}, {activation: 'softmax'}, "activation is 'softmax'; allowed: linear, relu"],
    ['prelu', {}, {activation: 'prelu'}, 'preluActivationWeights is missing'],
    ['bias', {bias: () => tf.zeros([3])}, {}, 'bias has shape [3]'],
    ['layout', {}, {dataFormat: 'NWC'}, "dataFormat is NWC; allowed: 'NHWC' or 'NCHW'"],
  ])('a call with a bad %s, before anything is allocated', async (_, inputs, attributes, message) => {
    const registration = await registerIm2win();
    const tensors = Object.fromEntries(
      Object.entries({x: image, filter: kernel, ...inputs}).map(([name, make]) => [name, make()]),
    );
    const before = tf.memory().numTensors;
    const run = () =>
      tf
        .engine()
        .runKernel(IM2WIN_CONV_2D, tensors, {strides: 1, pad: 'same', ...attributes} as tf.NamedAttrMap);
    expect(run).toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
    expect(registration.memory().ownBytes).toBe(0);
  });
});

describe('engines', () => {
  test("without relaxed SIMD, 'auto' is strict, and 'relaxed' an error", async () => {
    engineWithout('relaxed');
    await expect(registerIm2win({simd: 'relaxed'})).rejects.toThrow(
      "simd is 'relaxed', but this engine does not have it; allowed here: 'auto', 'strict'",
    );
    const registration = await registerIm2win();
    expect(registration.simd).toBe('strict');
    conv(image(), kernel());
    expect(registration.report()).toMatchObject([{algorithm: 'im2win'}]);
  });

  test('without SIMD nothing is routed on wasm', async () => {
    engineWithout('relaxed', 'strict');
    await expect(registerIm2win({simd: 'strict'})).rejects.toThrow('leaves every convolution to tfjs');
    const registration = await registerIm2win();
    expect(registration).toMatchObject({simd: 'none', backends: ['cpu']});
    expect(getKernel('Conv2D', 'wasm')).toBe(STOCK.Conv2D);
    conv(image(), kernel());
    expect(registration.report()).toEqual([]);
  });
});

describe('fallback', () => {
  test("'stock' was asked for, and asked no more", async () => {
    const registration = await registerIm2win({algorithm: 'stock'});
    const x = image();
    const filter = kernel();
    const values = conv(x, filter);
    registration.setAlgorithm('im2win');
    expect(conv(x, filter)).toEqual(values);
    registration.setAlgorithm('stock');
    conv(x, filter);
    expect(registration.report()).toMatchObject([
      {algorithm: 'stock', reason: "algorithm 'stock' was asked for", calls: 2},
      {algorithm: 'im2win', calls: 1},
    ]);
  });

  test("the stock kernel's own error for what it does not take", async () => {
    const registration = await registerIm2win({algorithm: 'stock'});
    const x = tf.ones([1, 2, 5, 5]) as tf.Tensor4D;
    expect(() => tf.conv2d(x, tf.ones([3, 3, 2, 4]) as tf.Tensor4D, 1, 'same', 'NCHW')).toThrow(
      'channelsFirst',
    );
    expect(registration.report()).toMatchObject([{algorithm: 'stock', dataFormat: 'NCHW'}]);
    registration.setAlgorithm('auto');
    expect(tf.conv2d(x, tf.ones([3, 3, 2, 4]) as tf.Tensor4D, 1, 'same', 'NCHW').shape).toEqual([1, 4, 5, 5]);
  });

  test('the memory is not where the known builds keep it', async () => {
    const registration = await registerIm2win();
    const wasm = currentWasm().wasm;
    Object.assign(wasm ?? {}, {asm: {...wasm?.asm, memory: undefined}});
    conv(image(), kernel());
    expect(registration.report()).toMatchObject([
      {algorithm: 'stock', reason: expect.stringContaining('memory')},
    ]);
    const wrong = () =>
      tf.conv2d(tf.ones([1, 7, 7, 1]) as tf.Tensor4D, tf.ones([2, 2, 1, 1]) as tf.Tensor4D, 4, 'same');
    expect(wrong).toThrow('cannot compute Conv2D');
  });
});

describe('other libraries', () => {
  test('one that replaced our kernel keeps its place, and its way to stock', async () => {
    const registration = await registerIm2win();
    const ours = getKernel('Conv2D', 'wasm');
    let calls = 0;
    const theirs: KernelConfig = {
      ...ours,
      kernelFunc: (args) => {
        ++calls;
        return ours.kernelFunc(args);
      },
    };
    replace('Conv2D', theirs);
    const x = image();
    const filter = kernel();
    const values = conv(x, filter);
    expect(registration.report()).toMatchObject([{algorithm: 'im2win'}]);
    registration.unregister();
    expect(getKernel('Conv2D', 'wasm')).toBe(theirs);
    expect(getKernel('FusedConv2D', 'wasm')).toBe(STOCK.FusedConv2D);
    expect(getKernel('Conv2DBackpropInput', 'wasm')).toBe(STOCK.Conv2DBackpropInput);
    expect(getKernel('Conv2DBackpropFilter', 'wasm')).toBeUndefined();
    expect(conv(x, filter)).toEqual(values);
    expect(calls).toBe(2);
    expect(registration.report()).toMatchObject([{calls: 1}]);
    replace('Conv2D', STOCK.Conv2D);
  });

  test('one that was there before us is what we fall back to', async () => {
    let calls = 0;
    const theirs: KernelConfig = {
      ...STOCK.Conv2D,
      kernelFunc: (args) => {
        ++calls;
        return STOCK.Conv2D.kernelFunc(args);
      },
    };
    replace('Conv2D', theirs);
    const registration = await registerIm2win({algorithm: 'stock'});
    conv(image(), kernel());
    expect(calls).toBe(1);
    registration.unregister();
    expect(getKernel('Conv2D', 'wasm')).toBe(theirs);
    replace('Conv2D', STOCK.Conv2D);
  });
});

test('the report counts what was done, however it was asked for', async () => {
  const registration = await registerIm2win();
  const x = image();
  const filter = kernel();
  conv(x, filter);
  registration.setAlgorithm('im2win');
  conv(x, filter);
  expect(registration.report()).toMatchObject([{algorithm: 'im2win', calls: 2}]);
});

test('the report is bounded, and forgets the oldest', async () => {
  const registration = await registerIm2win();
  const filter = tf.ones([1, 1, 1, 1]) as tf.Tensor4D;
  for (let width = 1; width <= 1010; ++width) {
    tf.tidy(() => tf.conv2d(tf.zeros([1, 1, width, 1]) as tf.Tensor4D, filter, 1, 'valid'));
  }
  const report = registration.report();
  expect(report).toHaveLength(1000);
  expect(report[0].xShape).toEqual([1, 1, 11, 1]);
});

describe('without Winograd', () => {
  const run = () => {
    const x = tf.ones<tf.Rank.R4>([1, 20, 20, 32]);
    tf.conv2d(x, tf.ones<tf.Rank.R4>([3, 3, 32, 32]), 1, 'same');
  };

  test.each<[Im2win.Im2winOptions, string]>([
    [{}, 'winograd'],
    [{winograd: false}, 'im2win'],
    [{maxPackedFilterBytes: 1000}, 'im2win'],
  ])('%j', async (options, algorithm) => {
    await freshWasm();
    const registration = await registerIm2win(options);
    run();
    expect(registration.report()).toMatchObject([{algorithm}]);
    if (options.winograd === false) {
      expect(() => registration.setAlgorithm('winograd')).toThrow('winograd is false');
      registration.setAlgorithm('im2win');
    }
    registration.unregister();
  });
});
