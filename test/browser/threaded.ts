// tfjs's threaded build in headless Chromium, on an isolated page, with the
// plugin. Needs a Chromium: the path is in CHROMIUM, or where Debian puts it.
import assert from 'node:assert/strict';
import {createReadStream, existsSync} from 'node:fs';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {chromium} from 'playwright-core';
import type {PageResult} from './page.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const wasmFolder = fileURLToPath(
  new URL('../../node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url),
);

const bundle = await build({
  entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
  bundle: true,
  write: false,
  logLevel: 'error',
});
const script = bundle.outputFiles[0].text;

// The headers that make a page isolated, and so give it shared memory.
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const server = createServer(({url = '/'}, response) => {
  const wasm = url.startsWith('/wasm/') ? wasmFolder + url.slice('/wasm/'.length) : undefined;
  if (wasm !== undefined && /^\/wasm\/[\w-]+\.wasm$/.test(url) && existsSync(wasm)) {
    response.writeHead(200, {...ISOLATED, 'Content-Type': 'application/wasm'});
    createReadStream(wasm).pipe(response);
  } else if (url === '/page.js') {
    response.writeHead(200, {...ISOLATED, 'Content-Type': 'text/javascript'}).end(script);
  } else if (url === '/') {
    response
      .writeHead(200, {...ISOLATED, 'Content-Type': 'text/html'})
      .end('<script src="/page.js"></script>');
  } else {
    response.writeHead(404).end();
  }
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
});
try {
  for (const threads of [1, 4]) {
    const page = await browser.newPage();
    // tfjs takes half of the machine's logical cores at the most.
    await page.addInitScript((cores) => {
      Object.defineProperty(Object.getPrototypeOf(navigator), 'hardwareConcurrency', {get: () => cores});
    }, 2 * threads);
    await page.goto(address);
    const result = await page.evaluate((count) => {
      return (globalThis as unknown as {run(threads: number): Promise<PageResult>}).run(count);
    }, threads);
    await page.close();
    check(result, threads);
    console.log(
      `threaded build, ${result.threads} thread(s): ${result.report.map(({kernelName, algorithm}) => `${kernelName} by ${algorithm}`).join(', ')}; ` +
        `largest difference ${result.largestDifference.toExponential(1)}`,
    );
  }
} finally {
  await browser.close();
  server.close();
}

function check(result: PageResult, threads: number): void {
  assert.equal(result.isolated, true);
  assert.equal(result.shared, true);
  assert.equal(result.threads, threads);
  assert.equal(result.simd, 'relaxed');
  assert.equal(result.ownBytesAfter, 0);
  // 108 products of at most 1 and a bias, in float on one side: 109 · 2^-24 · 109 at the worst.
  assert.ok(
    result.largestDifference <= 7.1e-4 && result.largestDifference > 0,
    `${result.largestDifference}`,
  );
  const taken = result.report.map(({kernelName, algorithm, reason, calls}) => ({
    kernelName,
    algorithm,
    reason,
    calls,
  }));
  const im2win = {algorithm: 'im2win', reason: undefined};
  const stock = {algorithm: 'stock', reason: `tfjs runs on ${threads} threads, im2win on one`};
  assert.deepEqual(
    taken,
    threads === 1
      ? [
          {kernelName: 'FusedConv2D', ...im2win, algorithm: 'winograd', calls: 1},
          {kernelName: 'Conv2D', ...im2win, calls: 2},
          {kernelName: 'FusedConv2D', ...im2win, calls: 1},
        ]
      : [
          {kernelName: 'FusedConv2D', ...stock, calls: 1},
          {kernelName: 'Conv2D', ...im2win, calls: 2},
          {kernelName: 'FusedConv2D', ...im2win, calls: 1},
        ],
  );
}
