// The built package in headless browsers: which flavour is chosen, on the page and in a worker, on tfjs's threaded
// build and its others, and under a Content-Security-Policy.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {Command} from 'commander';
import {build} from 'esbuild';
import {type Engine, hasFirefox, launchChromium, launchFirefox} from './engines.ts';
import type {PageResult, Task} from './page.ts';
import {type Server, serve} from './server.ts';

/** The headers that make a page isolated, and so give it shared memory. */
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const TASKS: readonly (Task & {readonly isolated: boolean})[] = (['page', 'worker'] as const).flatMap(
  (place) => [
    {place, isolated: false, kernels: 'embedded', threads: 1, timed: place === 'page'},
    {place, isolated: false, kernels: 'url', threads: 1, timed: false},
    {place, isolated: true, kernels: 'embedded', threads: 1, timed: false},
    {place, isolated: true, kernels: 'embedded', threads: 4, timed: false},
    {place, isolated: true, kernels: 'url', threads: 1, timed: false},
    {place, isolated: true, kernels: 'module', threads: 1, timed: false},
  ],
);

/**
 * In Firefox 153 tfjs's threaded build often does not start in a worker, without us too: its setBackend does
 * not come back.
 */
const FIREFOX_TASKS = TASKS.filter(({place, isolated}) => !(place === 'worker' && isolated));

interface Line extends Omit<PageResult, 'report'> {
  readonly engine: string;
  readonly task: Task;
  readonly taken: readonly string[];
}

await new Command('npm run test:browser --')
  .description('The built package in Chromium, and in Firefox if there is one. Needs `npm run build`.')
  .option('--require-firefox', 'fail if there is no Firefox')
  .option('--json <file>', 'write the results as JSON')
  .action(main)
  .parseAsync();

async function main({requireFirefox = false, json}: {requireFirefox?: boolean; json?: string}) {
  if (requireFirefox && !hasFirefox) throw new Error('there is no Firefox.');
  const server = await serveAll();
  const lines: Line[] = [];
  const engine = async (name: string, launch: () => Promise<Engine>, simd: string, tasks: typeof TASKS) => {
    const browser = await launch();
    try {
      const label = `${name} (${simd})`;
      for (const task of tasks) lines.push(await runTask(label, browser, server, simd, task));
      if (simd === 'relaxed') await checkForbidden(name, browser, server);
    } finally {
      await browser.close();
    }
  };
  try {
    await engine('Chromium', () => launchChromium(), 'relaxed', TASKS);
    // V8 has no SIMD without this instruction set. Relaxed SIMD alone it does not turn off.
    await engine('Chromium', () => launchChromium('--no-enable-ssse3'), 'none', TASKS.slice(0, 1));
    if (hasFirefox) {
      await engine('Firefox', () => launchFirefox(), 'relaxed', FIREFOX_TASKS);
      const strict = {'javascript.options.wasm_relaxed_simd': false};
      await engine('Firefox', () => launchFirefox(strict), 'strict', FIREFOX_TASKS);
    } else {
      console.log('Firefox: not found, left out.');
    }
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(lines, undefined, 2)}\n`);
  } finally {
    server.close();
  }
}

async function serveAll(): Promise<Server> {
  const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const bundle = await build({
    entryPoints: [folder('page.ts')],
    bundle: true,
    write: false,
    logLevel: 'error',
  });
  const html = {text: '<!doctype html>\n<script src="/page.js"></script>'};
  return serve(
    {
      '/tfjs/': folder('../../node_modules/@tensorflow/tfjs-backend-wasm/dist/'),
      '/package/': folder('../../dist/'),
      '/page.js': {text: bundle.outputFiles[0].text},
      '/isolated.html': html,
      '/plain.html': html,
      '/forbidden.html': html,
    },
    (path): Record<string, string> => {
      if (path === '/plain.html') return {};
      return path === '/forbidden.html' ? {'Content-Security-Policy': "script-src 'self'"} : ISOLATED;
    },
  );
}

/** The value of an expression on a page. */
async function withPage(browser: Engine, url: string, expression: string): Promise<unknown> {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    const late = setTimeout(20_000, undefined, {ref: false}).then(() => {
      throw new Error('nothing has come back within 20 seconds.');
    });
    return await Promise.race([page.evaluate(expression), late]);
  } finally {
    await page.close();
  }
}

async function runTask(
  engine: string,
  browser: Engine,
  server: Server,
  simd: string,
  task: Task & {isolated: boolean},
): Promise<Line> {
  const {place, isolated, kernels, threads} = task;
  const name = `${engine}, ${place}, ${isolated ? `isolated, ${threads} thread(s)` : 'plain'}, kernels ${kernels}`;
  const url = `${server.origin}/${isolated ? 'isolated' : 'plain'}.html`;
  const {report, ...result} = (await withPage(browser, url, `run(${JSON.stringify(task)})`).catch((cause) => {
    throw new Error(`${name}: ${cause.message}`, {cause});
  })) as PageResult;
  const taken = report.map(
    ({kernelName, algorithm, reason, calls}) =>
      `${calls} ${kernelName} by ${algorithm}${reason === undefined ? '' : ` (${reason})`}`,
  );
  const {times, largestDifference} = result;
  console.log(
    `${name}: ${taken.join(', ') || 'nothing routed'}; largest difference ${largestDifference.toExponential(1)}` +
      (times
        ? `; 56×56×64 3×3 → 64 in ${times.auto.toFixed(1)} ms, by stock ${times.stock.toFixed(1)} ms`
        : ''),
  );
  assert.equal(result.isolated, isolated, name);
  assert.equal(result.shared, isolated, name);
  assert.equal(result.threads, threads, name);
  assert.equal(result.simd, kernels === 'module' ? 'strict' : simd, name);
  assert.equal(result.ownBytesAfter, 0, name);
  // 108 products of at most 1 and a bias, in float on one side: 109 · 2^-24 · 109 at the worst.
  assert.ok(largestDifference <= 7.1e-4 && largestDifference > 0, name);
  assert.deepEqual(taken, expectedOf(task, simd), name);
  if (kernels === 'module' && isolated)
    assert.match(result.refusal ?? '', /given as a compiled module/, name);
  else assert.equal(result.refusal, undefined, name);
  return {engine, task, taken, ...result};
}

function expectedOf({kernels, threads, isolated}: Task & {isolated: boolean}, simd: string): string[] {
  if (simd === 'none') return [];
  if (kernels === 'module' && isolated) {
    const reason =
      'its memory is shared, and the kernels were given as a compiled module, which takes one that is not';
    return [`2 FusedConv2D by stock (${reason})`, '1 Conv2D by im2win'];
  }
  const first =
    threads === 1
      ? '1 FusedConv2D by winograd'
      : `1 FusedConv2D by stock (tfjs runs on ${threads} threads, im2win on one)`;
  return [first, '1 Conv2D by im2win', '1 FusedConv2D by im2win'];
}

/** Where no WebAssembly is allowed, tfjs has no wasm backend either, and im2win serves cpu. */
async function checkForbidden(name: string, browser: Engine, server: Server): Promise<void> {
  for (const kernels of ['embedded', 'url'] as const) {
    const expression = `register('${kernels}').then((im2win) => [...im2win.backends, im2win.status()].join(': '))`;
    const told = (await withPage(browser, `${server.origin}/forbidden.html`, expression)) as string;
    console.log(`${name}, WebAssembly forbidden, kernels ${kernels}: ${told}`);
    assert.match(told, /^cpu: /);
    assert.match(told, /wasm: not served: .*Content-Security-Policy: script-src with 'wasm-unsafe-eval'/);
  }
}
