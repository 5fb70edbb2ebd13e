// tfjs-im2win/slim: where kernels come from, which of them are taken, and every error.
import {readFileSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import {registerIm2win as registerEmbedded} from '../src/index.ts';
import {registerIm2win, type SlimOptions} from '../src/slim.ts';
import {TARGETS} from '../src/targets.generated.ts';
import {identitySection} from '../src/wasm/binary.ts';
import {KERNEL_BUILD} from '../src/wasm/build.generated.ts';
import {EMBEDDED_KERNELS} from '../src/wasm/embedded.ts';
import {kernelsAt} from '../src/wasm/location.ts';
import type {KernelModules} from '../src/wasm/module.ts';
import {openKernels} from '../src/wasm/source.ts';
import {WasmState} from '../src/wasm/state.ts';
import {currentWasm, engineWithout, freshWasm, hostThatCompilesNothing, tf} from './tf.ts';

const file = (flavour: string) =>
  new Uint8Array(readFileSync(path.join(__dirname, `../src/wasm/im2win-${flavour}.wasm`)));
const BYTES = {strict: file('strict'), relaxed: file('relaxed')};
const MODULES = {
  strict: new WebAssembly.Module(BYTES.strict),
  relaxed: new WebAssembly.Module(BYTES.relaxed),
};

// Kernels at any path that ends in a flavour, in the type that the query names.
let server: Server;
let base: string;
const requests: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const {pathname, searchParams} = new URL(request.url ?? '', 'http://server');
    const flavour = (['strict', 'relaxed'] as const).find((name) => pathname.endsWith(`${name}.wasm`));
    if (flavour === undefined) response.writeHead(404).end('nothing here');
    else if (pathname.startsWith('/page')) response.end('<!doctype html><title>Not found</title>');
    else if (pathname.startsWith('/cut')) {
      const type = searchParams.get('type') ?? 'text/plain';
      response.writeHead(200, {'Content-Length': 1000, 'Content-Type': type});
      response.write('\0asm', () => response.destroy());
    } else {
      response.writeHead(200, {'Content-Type': searchParams.get('type') ?? 'application/wasm'});
      response.end(pathname.startsWith('/broken') ? BYTES[flavour].subarray(0, 1000) : BYTES[flavour]);
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

beforeEach(freshWasm);
afterEach(async () => {
  jest.restoreAllMocks();
  (await registerEmbedded()).unregister();
  requests.length = 0;
});

/** Registers, computes by im2win or by stock, and compares with stock. */
async function flavourTaken(options: SlimOptions): Promise<string> {
  const x = tf.randomUniform([1, 8, 9, 5], -1, 1, 'float32', 1) as tf.Tensor4D;
  const filter = tf.randomUniform([3, 3, 5, 7], -1, 1, 'float32', 2) as tf.Tensor4D;
  const conv = () => tf.tidy(() => tf.conv2d(x, filter, 1, 'same').dataSync());
  const expected = conv();
  const registration = await registerIm2win(options);
  conv().forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
  });
  expect(registration.report().map(({algorithm}) => algorithm)).toEqual(
    registration.simd === 'none' ? [] : ['im2win'],
  );
  return registration.simd;
}

const both = <T>(make: (flavour: 'strict' | 'relaxed') => T) => ({
  strict: make('strict'),
  relaxed: make('relaxed'),
});

describe.each<[string, (flavour: 'strict' | 'relaxed') => unknown]>([
  ['wasmUrl', (flavour) => `${base}/im2win-${flavour}.wasm`],
  ['wasmUrl', (flavour) => new URL(`${base}/im2win-${flavour}.wasm?type=application/octet-stream`)],
  ['wasmUrl', (flavour) => `${base}/${flavour}.wasm?type=application/wasm;charset=utf-8`],
  ['wasmBinary', (flavour) => BYTES[flavour]],
  ['wasmBinary', (flavour) => BYTES[flavour].slice().buffer],
  ['wasmBinary', (flavour) => Buffer.concat([Buffer.alloc(3), BYTES[flavour]]).subarray(3)],
  ['module', (flavour) => MODULES[flavour]],
])('%s (%#)', (name, make) => {
  const options = (value: unknown, others = {}) => ({[name]: value, ...others}) as unknown as SlimOptions;

  test('one file, whose flavour is found out', async () => {
    expect(await flavourTaken(options(make('strict')))).toBe('strict');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options(make('relaxed'), {simd: 'relaxed'}))).toBe('relaxed');
  });

  test('the better of both, and the one that was asked for', async () => {
    expect(await flavourTaken(options(both(make)))).toBe('relaxed');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options(both(make), {simd: 'strict'}))).toBe('strict');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options({relaxed: undefined, strict: make('strict')}))).toBe('strict');
  });

  test('one that was not asked for', async () => {
    const message = "simd is 'strict', but the kernels that were given are not";
    await expect(registerIm2win(options(make('relaxed'), {simd: 'strict'}))).rejects.toThrow(message);
    await expect(registerIm2win(options({relaxed: make('relaxed')}, {simd: 'strict'}))).rejects.toThrow(
      message,
    );
  });

  test('one given as the other', async () => {
    await expect(registerIm2win(options({relaxed: make('strict')}))).rejects.toThrow(
      /registerIm2win: \w+\.relaxed.* is of flavour 'strict'/,
    );
  });

  test('an engine without relaxed SIMD', async () => {
    engineWithout('relaxed');
    expect(await flavourTaken(options(both(make)))).toBe('strict');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options(make('relaxed')))).toBe('none');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options({relaxed: make('relaxed')}))).toBe('none');
  });

  test('an engine without SIMD, for which nothing is loaded', async () => {
    engineWithout('relaxed', 'strict');
    expect(await flavourTaken(options(both(make)))).toBe('none');
    (await registerEmbedded()).unregister();
    expect(await flavourTaken(options(make('strict')))).toBe('none');
    expect(requests).toEqual([]);
  });
});

test('only the file that is taken is fetched, and none where wasm is not served', async () => {
  await registerIm2win({wasmUrl: both((flavour) => `${base}/${flavour}.wasm`)});
  expect(requests).toEqual(['/relaxed.wasm']);
  (await registerEmbedded()).unregister();
  const registration = await registerIm2win({wasmUrl: `${base}/missing`, backends: ['cpu']});
  expect(registration).toMatchObject({backends: ['cpu'], simd: 'none'});
  expect(requests).toHaveLength(1);
});

test('the registration there is, whatever its kernels came from', async () => {
  const first = await registerIm2win({wasmBinary: BYTES.strict});
  expect(await registerIm2win({wasmUrl: `${base}/missing`})).toBe(first);
  expect(await registerEmbedded()).toBe(first);
  await expect(registerEmbedded({algorithm: 'stock'})).rejects.toThrow("algorithm is 'stock'");
});

describe('refuses', () => {
  test.each<[string, unknown]>([
    ['where the kernels are is missing; allowed: exactly one of wasmUrl, wasmBinary and module', {}],
    ['where the kernels are is missing', undefined],
    ['wasmUrl and module are given; allowed: exactly one', {wasmUrl: 'a', module: MODULES.strict}],
    ["wasmUrl is ''; allowed: a URL that is not empty, or {strict, relaxed}", {wasmUrl: ''}],
    ['wasmUrl is 42; allowed: a URL', {wasmUrl: 42}],
    ['wasmUrl is null; allowed: a URL', {wasmUrl: null}],
    ['wasmUrl is {}; allowed: a URL', {wasmUrl: {}}],
    ["wasmUrl is {strict: 'a', fast: 'b'}; allowed: a URL", {wasmUrl: {strict: 'a', fast: 'b'}}],
    ['wasmUrl is {strict: 1}; allowed: a URL', {wasmUrl: {strict: 1}}],
    ["wasmBinary is 'AGFzbQ'; allowed: an ArrayBuffer or a view of one", {wasmBinary: 'AGFzbQ'}],
    [
      'module is [object Uint8Array]; allowed: a WebAssembly.Module, or {strict, relaxed}',
      {module: BYTES.strict},
    ],
    ["wasmBinary is not a file of im2win's kernels; it begins with", {wasmBinary: new Uint8Array(4)}],
    ["an option is 'algoritm'", {wasmUrl: 'a', algoritm: 'stock'}],
  ])('%s', async (message, options) => {
    await expect(registerIm2win(options as SlimOptions)).rejects.toThrow(`registerIm2win: ${message}`);
  });

  test.each([
    ['/missing.wasm', 'cannot be fetched: status 404 Not Found'],
    ['/page/strict.wasm', `is not a file of im2win's kernels; it begins with "<!doctype html><"`],
    ['/broken/strict.wasm', 'does not compile: '],
    ['/broken/strict.wasm?type=text/plain', "is not a file of im2win's kernels"],
    ['/cut/strict.wasm', 'cannot be fetched: terminated'],
    ['/cut/strict.wasm?type=application/wasm', 'cannot be fetched: terminated'],
  ])('%s', async (url, message) => {
    await expect(registerIm2win({wasmUrl: base + url})).rejects.toThrow(
      `registerIm2win: wasmUrl '${base}${url}' ${message}`,
    );
  });

  test('a server that is not there', async () => {
    await expect(registerIm2win({wasmUrl: 'http://127.0.0.1:1/im2win.wasm'})).rejects.toThrow(
      "wasmUrl 'http://127.0.0.1:1/im2win.wasm' cannot be fetched: fetch failed",
    );
  });

  test('a file: URL, which Node does not fetch, and a host without fetch', async () => {
    const url = pathToFileURL(path.join(__dirname, '../src/wasm/im2win-strict.wasm'));
    for (const wasmUrl of [url, url.href]) {
      await expect(registerIm2win({wasmUrl})).rejects.toThrow(
        `wasmUrl '${url}' cannot be fetched: fetch reads no file: URLs here, in Node as on pages. Give the file's ` +
          'bytes as wasmBinary instead, in Node with readFileSync(',
      );
    }
    const own = globalThis.fetch;
    Reflect.deleteProperty(globalThis, 'fetch');
    await expect(registerIm2win({wasmUrl: 'a'})).rejects.toThrow('this host has no fetch. Give the bytes');
    globalThis.fetch = own;
  });

  test('a module that is not ours, one of another build, and one for another target', async () => {
    const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const other = Buffer.concat([empty, identitySection({target: 'strict', build: '0123'})]);
    await expect(registerIm2win({module: new WebAssembly.Module(empty)})).rejects.toThrow(
      "module is not a file of im2win's kernels; it is another module, or one that was cut short",
    );
    for (const options of [{module: new WebAssembly.Module(other)}, {wasmBinary: other}]) {
      await expect(registerIm2win(options)).rejects.toThrow(
        `is of build 0123; allowed: build ${KERNEL_BUILD}, that of the .wasm files of the same version`,
      );
    }
    const wider = Buffer.concat([empty, identitySection({target: 'wider', build: KERNEL_BUILD})]);
    for (const options of [{module: new WebAssembly.Module(wider)}, {wasmBinary: wider}]) {
      await expect(registerIm2win(options)).rejects.toThrow(
        `is of target 'wider'; allowed: '${TARGETS.relaxed.name}', '${TARGETS.strict.name}'.`,
      );
    }
  });

  test('kernels that do not compile, and can be called again', async () => {
    const broken = BYTES.relaxed.slice();
    broken.fill(0xff, broken.length - 200, broken.length - 100);
    await expect(registerIm2win({wasmBinary: broken})).rejects.toThrow('wasmBinary does not compile: ');
    expect(await flavourTaken({wasmBinary: BYTES.relaxed})).toBe('relaxed');
  });

  test('a host that compiles nothing, where wasm was asked for', async () => {
    hostThatCompilesNothing();
    const message =
      /page's Content-Security-Policy: .*'wasm-unsafe-eval'; in an edge worker.*slim'. \(refused\)/;
    await expect(registerIm2win({wasmBinary: BYTES.strict, backends: ['wasm']})).rejects.toThrow(message);
    await expect(registerEmbedded({backends: ['wasm', 'cpu']})).rejects.toThrow(message);
    // A module that the host compiled needs none of that.
    expect(await flavourTaken({module: MODULES.strict})).toBe('strict');
  });
});

test('the embedded kernels are the files', async () => {
  if ('any' in EMBEDDED_KERNELS) throw new Error('of any flavour');
  for (const flavour of ['strict', 'relaxed'] as const) {
    const code = (await EMBEDDED_KERNELS[flavour]?.load(true)) as Uint8Array;
    expect(Buffer.from(code).equals(BYTES[flavour])).toBe(true);
  }
});

describe('a shared memory', () => {
  beforeEach(() => {
    const {wasm} = currentWasm();
    const wasmMemory = new WebAssembly.Memory({initial: 1, maximum: 2, shared: true});
    Object.assign(wasm ?? {}, {wasmMemory, HEAPU8: new Uint8Array(wasmMemory.buffer)});
  });

  test.each([
    ['wasmBinary', BYTES],
    ['wasmBinary', BYTES.strict],
  ])('%s serves it (%#)', async (name, value) => {
    const modules = await openKernels(kernelsAt({[name]: value}), 'auto', {possible: true, expected: false});
    expect(WasmState.create(currentWasm(), modules as KernelModules)).toBeInstanceOf(WasmState);
  });

  test('a URL serves it, though it is served as what streams', async () => {
    const modules = await openKernels(kernelsAt({wasmUrl: `${base}/strict.wasm`}), 'auto', {
      possible: true,
      expected: false,
    });
    expect(WasmState.create(currentWasm(), modules as KernelModules)).toBeInstanceOf(WasmState);
  });

  test('a compiled module does not, and says why', async () => {
    const modules = await openKernels(kernelsAt({module: MODULES}), 'auto', {
      possible: true,
      expected: false,
    });
    expect(WasmState.create(currentWasm(), modules as KernelModules)).toBe(
      'its memory is shared, and the kernels were given as a compiled module, which takes one that is not',
    );
  });
});
