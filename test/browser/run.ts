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
import {hasWebKit, launchWebKit} from './webkit.ts';

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

type Tasks = typeof TASKS;

interface Browser {
  readonly name: string;
  readonly found: boolean;
  /** What a registration says where the page's policy forbids WebAssembly. */
  readonly forbidden: RegExp;
  /** The first is the browser as it comes, the others have settings of their own. */
  readonly settings: readonly Setting[];
}

interface Setting {
  readonly launch: () => Promise<Engine>;
  readonly simd: string;
  /** Whether an isolated page has shared memory, and so tfjs's threaded build. */
  readonly sharing: boolean;
  readonly tasks: Tasks;
}

const isolated: Tasks = TASKS.filter((task) => task.isolated);

/**
 * In Firefox 153 tfjs's threaded build often does not start in a worker, without us too: its setBackend does
 * not come back.
 */
const notIsolatedWorker: Tasks = TASKS.filter((task) => !(task.place === 'worker' && task.isolated));

const FORBIDDEN =
  /^cpu: [\s\S]*wasm: not served: .*Content-Security-Policy: script-src with 'wasm-unsafe-eval'/;

const BROWSERS: readonly Browser[] = [
  {
    name: 'Chromium',
    found: true,
    forbidden: FORBIDDEN,
    settings: [
      {launch: () => launchChromium(), simd: 'relaxed', sharing: true, tasks: TASKS},
      // Without this instruction set V8 has no SIMD. It cannot turn off relaxed SIMD alone.
      {
        launch: () => launchChromium('--no-enable-ssse3'),
        simd: 'none',
        sharing: true,
        tasks: TASKS.slice(0, 1),
      },
    ],
  },
  {
    name: 'Firefox',
    found: hasFirefox,
    forbidden: FORBIDDEN,
    settings: [
      {launch: () => launchFirefox(), simd: 'relaxed', sharing: true, tasks: notIsolatedWorker},
      {
        launch: () => launchFirefox({'javascript.options.wasm_relaxed_simd': false}),
        simd: 'strict',
        sharing: true,
        tasks: notIsolatedWorker,
      },
    ],
  },
  {
    // WebKitGTK has no SharedArrayBuffer on an isolated page, where Safari has one: the last setting is Safari's.
    // With that option every page has it, so only isolated ones are opened.
    name: 'WebKit',
    found: hasWebKit,
    // WebKit compiles a module all the same. It refuses an instance from bytes, which tfjs's backend asks for.
    forbidden: /^wasm: cpu: /,
    settings: [
      {launch: () => launchWebKit(), simd: 'strict', sharing: false, tasks: TASKS},
      {
        launch: () => launchWebKit({useWasmRelaxedSIMD: true}),
        simd: 'relaxed',
        sharing: false,
        tasks: TASKS.slice(0, 1),
      },
      {
        launch: () => launchWebKit({useWasmSIMD: false}),
        simd: 'none',
        sharing: false,
        tasks: TASKS.slice(0, 1),
      },
      {
        launch: () => launchWebKit({useSharedArrayBuffer: true}),
        simd: 'strict',
        sharing: true,
        tasks: isolated,
      },
    ],
  },
];

interface Line extends Omit<PageResult, 'report'> {
  readonly engine: string;
  readonly task: Task;
  readonly taken: readonly string[];
}

await new Command('npm run test:browser --')
  .description(
    'The built package in Chromium, and in Firefox and WebKit if there are any. Needs `npm run build`.',
  )
  .option('--require-all', 'fail if there is no Firefox or no WebKit')
  .option('--json <file>', 'write the results as JSON')
  .action(main)
  .parseAsync();

async function main({requireAll = false, json}: {requireAll?: boolean; json?: string}) {
  const missing = BROWSERS.filter(({found}) => !found).map(({name}) => name);
  if (requireAll && missing.length > 0) throw new Error(`there is no ${missing.join(', and no ')}.`);
  if (missing.length > 0) console.log(`${missing.join(', ')}: not found, left out.`);
  const server = await serveAll();
  const lines: Line[] = [];
  try {
    for (const {name, settings, forbidden} of BROWSERS.filter(({found}) => found)) {
      for (const setting of settings) {
        const engine = await setting.launch();
        try {
          for (const task of setting.tasks) lines.push(await runTask(name, engine, server, setting, task));
          if (setting === settings[0]) await checkForbidden(name, engine, server, forbidden);
        } finally {
          await engine.close();
        }
      }
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
  browserName: string,
  browser: Engine,
  server: Server,
  {simd, sharing}: Setting,
  task: Tasks[number],
): Promise<Line> {
  const {place, isolated, kernels, threads} = task;
  const engine = `${browserName} (${simd})`;
  const shared = isolated && sharing;
  const name = `${engine}, ${place}, ${isolated ? `isolated${shared ? ' and shared' : ''}, ${threads} thread(s)` : 'plain'}, kernels ${kernels}`;
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
  assert.equal(result.shared, shared, name);
  assert.equal(result.threads, shared ? threads : 1, name);
  assert.equal(result.simd, kernels === 'module' ? 'strict' : simd, name);
  assert.equal(result.ownBytesAfter, 0, name);
  // 108 products of at most 1 and a bias, in float on one side: 109 · 2^-24 · 109 at the worst.
  assert.ok(largestDifference <= 7.1e-4 && largestDifference > 0, name);
  assert.deepEqual(taken, expectedOf(task, simd, shared), name);
  if (kernels === 'module' && shared) assert.match(result.refusal ?? '', /given as a compiled module/, name);
  else assert.equal(result.refusal, undefined, name);
  return {engine, task, taken, ...result};
}

function expectedOf({kernels, threads}: Task, simd: string, shared: boolean): string[] {
  if (simd === 'none') return [];
  if (kernels === 'module' && shared) {
    const reason =
      'its memory is shared, and the kernels were given as a compiled module, which takes one that is not';
    return [`2 FusedConv2D by stock (${reason})`, '1 Conv2D by im2win'];
  }
  const first =
    threads === 1 || !shared
      ? '1 FusedConv2D by winograd'
      : `1 FusedConv2D by stock (tfjs runs on ${threads} threads, im2win on one)`;
  return [first, '1 Conv2D by im2win', '1 FusedConv2D by im2win'];
}

/** Where no WebAssembly is allowed, tfjs has no wasm backend either, and im2win serves cpu. */
async function checkForbidden(
  name: string,
  browser: Engine,
  server: Server,
  expected: RegExp,
): Promise<void> {
  for (const kernels of ['embedded', 'url'] as const) {
    const expression = `register('${kernels}').then((im2win) => [...im2win.backends, im2win.status()].join(': '))`;
    const told = (await withPage(browser, `${server.origin}/forbidden.html`, expression)) as string;
    console.log(`${name}, WebAssembly forbidden, kernels ${kernels}: ${told}`);
    assert.match(told, expected);
  }
}
