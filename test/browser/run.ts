// The built package in headless browsers: which flavour is chosen, on the page and in a worker, on tfjs's threaded
// build and its others, and under a Content-Security-Policy.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {Command} from 'commander';
import {build} from 'esbuild';
import {type Engine, hasFirefox, launchChromium, launchFirefox} from './engines.ts';
import type {PageResult, Task, ThreadsResult} from './page.ts';
import {type Server, serve} from './server.ts';
import {hasWebKit, launchWebKit} from './webkit.ts';

/** The headers that make a page isolated, and so give it shared memory. */
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Where a task runs: a page that is isolated, one that is not, or one whose policy has no workers from texts. */
type RunTask = Task & {readonly page: 'isolated' | 'plain' | 'noBlob'};

const TASKS: readonly RunTask[] = (['page', 'worker'] as const).flatMap((place): RunTask[] => [
  {place, page: 'plain', kernels: 'embedded', threads: 1, timed: place === 'page'},
  {place, page: 'plain', kernels: 'url', threads: 1, timed: false},
  {place, page: 'isolated', kernels: 'embedded', threads: 1, timed: false},
  {place, page: 'isolated', kernels: 'embedded', threads: 1, numThreads: 1, timed: false},
  {place, page: 'isolated', kernels: 'embedded', threads: 4, timed: false},
  {place, page: 'isolated', kernels: 'embedded', threads: 1, plainBuild: true, timed: false},
  {place, page: 'isolated', kernels: 'url', threads: 1, timed: false},
  {place, page: 'isolated', kernels: 'module', threads: 1, timed: false},
]);

// tfjs's threaded build does not start where no worker may come from a text.
const NO_BLOB: RunTask = {
  place: 'page',
  page: 'noBlob',
  kernels: 'embedded',
  threads: 1,
  plainBuild: true,
  timed: false,
};
const WORKER_URLS: readonly RunTask[] = [
  NO_BLOB,
  {...NO_BLOB, workerUrl: '/package/im2win-worker.js'},
  {...NO_BLOB, workerUrl: '/package/none.js'},
  {...NO_BLOB, page: 'isolated', workerUrl: '/package/im2win-worker.js'},
];

type Tasks = readonly RunTask[];

interface Browser {
  readonly name: string;
  readonly found: boolean;
  /** What a registration says where the page's policy forbids WebAssembly. */
  readonly forbidden: Readonly<Record<'embedded' | 'url', RegExp>>;
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

const isolated: Tasks = [...TASKS.filter(({page}) => page === 'isolated'), ...WORKER_URLS];

/**
 * In Firefox 153 tfjs's threaded build often does not start in a worker, without us too: its setBackend does
 * not come back.
 */
const noThreadedWorker: Tasks = [...TASKS, ...WORKER_URLS].filter(
  ({place, page, plainBuild}) => place === 'page' || page === 'plain' || plainBuild,
);

const NOT_SERVED =
  /^cpu: [\s\S]*wasm: not served: .*Content-Security-Policy: script-src with 'wasm-unsafe-eval'/;
const FORBIDDEN = {embedded: NOT_SERVED, url: NOT_SERVED};

const BROWSERS: readonly Browser[] = [
  {
    name: 'Chromium',
    found: true,
    forbidden: FORBIDDEN,
    settings: [
      {launch: () => launchChromium(), simd: 'relaxed', sharing: true, tasks: [...TASKS, ...WORKER_URLS]},
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
      {launch: () => launchFirefox(), simd: 'relaxed', sharing: true, tasks: noThreadedWorker},
      {
        launch: () => launchFirefox({'javascript.options.wasm_relaxed_simd': false}),
        simd: 'strict',
        sharing: true,
        tasks: noThreadedWorker,
      },
    ],
  },
  {
    // WebKitGTK has no SharedArrayBuffer on an isolated page, where Safari has one: the last setting is Safari's.
    // With that option every page has it, so only isolated ones are opened.
    name: 'WebKit',
    found: hasWebKit,
    // WebKit compiles a module all the same. It refuses an instance, which tfjs's backend asks for, and so does what
    // unpacks the embedded kernels.
    forbidden: {embedded: NOT_SERVED, url: /^wasm: cpu: /},
    settings: [
      {
        launch: () => launchWebKit(),
        simd: 'strict',
        sharing: false,
        tasks: TASKS.filter(({plainBuild}) => !plainBuild),
      },
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
  .option('--only <browser>', 'one alone, such as Firefox')
  .option('--json <file>', 'write the results as JSON')
  .action(main)
  .parseAsync();

async function main({requireAll = false, only, json}: {requireAll?: boolean; only?: string; json?: string}) {
  const missing = BROWSERS.filter(({found}) => !found).map(({name}) => name);
  if (requireAll && missing.length > 0) throw new Error(`there is no ${missing.join(', and no ')}.`);
  if (missing.length > 0) console.log(`${missing.join(', ')}: not found, left out.`);
  const server = await serveAll();
  const lines: Line[] = [];
  try {
    for (const {name, settings, forbidden} of BROWSERS.filter(
      (one) => one.found && (only ?? one.name) === one.name,
    )) {
      for (const setting of settings) {
        const engine = await setting.launch();
        try {
          for (const task of setting.tasks) lines.push(await runTask(name, engine, server, setting, task));
          if (setting === settings[0]) await checkForbidden(name, engine, server, forbidden);
          if (setting.sharing && setting.tasks.length > 1) await checkRenewed(name, engine, server);
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
      '/noBlob.html': html,
      '/forbidden.html': html,
    },
    (path): Record<string, string> => {
      if (path === '/plain.html') return {};
      if (path === '/forbidden.html') return {'Content-Security-Policy': "script-src 'self'"};
      return path === '/noBlob.html'
        ? {...ISOLATED, 'Content-Security-Policy': "worker-src 'self'"}
        : ISOLATED;
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
  const {place, page, kernels, threads, plainBuild, workerUrl} = task;
  const engine = `${browserName} (${simd})`;
  const isolated = page !== 'plain';
  const shared = isolated && sharing;
  const name = [
    engine,
    place,
    page,
    shared && 'shared',
    `kernels ${kernels}`,
    `tfjs's ${plainBuild ? 'plain build' : `threads ${threads}`}`,
    task.numThreads && `${task.numThreads} asked for`,
    workerUrl,
  ]
    .filter((part) => part)
    .join(', ');
  const url = `${server.origin}/${page}.html`;
  const {report, ...result} = (await withPage(browser, url, `run(${JSON.stringify(task)})`).catch((cause) => {
    throw new Error(`${name}: ${cause.message}`, {cause});
  })) as PageResult;
  const taken = report.map(
    ({kernelName, algorithm, reason, calls}) =>
      `${calls} ${kernelName} by ${algorithm}${reason === undefined ? '' : ` (${reason})`}`,
  );
  const {times, largestDifference, im2winThreads} = result;
  console.log(
    `${name}: ${taken.join(', ') || 'nothing routed'}; largest difference ${largestDifference.toExponential(1)}; ` +
      `${im2winThreads.count} thread(s)${im2winThreads.reason === undefined ? '' : `: ${im2winThreads.reason}`}` +
      (times
        ? `; 56×56×64 3×3 → 64 in ${times.auto.toFixed(1)} ms, by stock ${times.stock.toFixed(1)} ms`
        : ''),
  );
  assert.equal(result.isolated, isolated, name);
  assert.equal(result.shared, shared, name);
  assert.equal(result.threads, shared && !plainBuild ? threads : 1, name);
  if (simd !== 'none') checkThreads(im2winThreads, task, shared, name);
  assert.equal(result.simd, kernels === 'module' ? 'strict' : simd, name);
  assert.equal(result.ownBytesAfter, 0, name);
  // 108 products of at most 1 and a bias, in float on one side: 109 · 2^-24 · 109 at the worst.
  assert.ok(largestDifference <= 7.1e-4 && largestDifference > 0, name);
  assert.deepEqual(taken, expectedOf(task, simd, shared), name);
  if (kernels === 'module' && shared) assert.match(result.refusal ?? '', /given as a compiled module/, name);
  else assert.equal(result.refusal, undefined, name);
  return {engine, task, taken, ...result};
}

function expectedOf({kernels}: Task, simd: string, shared: boolean): string[] {
  if (simd === 'none') return [];
  if (kernels === 'module' && shared) {
    const reason =
      'its memory is shared, and the kernels were given as a compiled module, which takes one that is not';
    return [`2 FusedConv2D by stock (${reason})`, '1 Conv2D by im2win'];
  }
  return ['1 FusedConv2D by winograd', '1 Conv2D by im2win', '1 FusedConv2D by im2win'];
}

/** Threads where the heap is shared and workers can be had; everywhere else one, and why. */
function checkThreads(result: ThreadsResult, task: RunTask, shared: boolean, name: string): void {
  const {count, reason, workersComputed, sameBits} = result;
  const expected = whyOneThread(task, shared);
  const asked = task.numThreads ?? Math.max(2, task.threads);
  assert.ok(sameBits, `${name}: other bits than on one thread`);
  assert.equal(count, expected === undefined ? asked : 1, name);
  assert.equal(workersComputed, expected === undefined && asked > 1, name);
  if (expected === undefined) assert.equal(reason, undefined, name);
  else assert.match(reason ?? '', expected, name);
}

function whyOneThread({page, kernels, numThreads, workerUrl}: RunTask, shared: boolean): RegExp | undefined {
  if (numThreads === 1) return undefined;
  if (page === 'plain') return /only if it is isolated/;
  if (!shared) return /no SharedArrayBuffer/;
  if (kernels === 'module') return /given as a compiled module/;
  if (workerUrl?.endsWith('none.js')) return /could not be loaded from '\/package\/none.js'/;
  return page === 'noBlob' && workerUrl === undefined ? /workerUrl/ : undefined;
}

/** Another instance of the backend has threads, too, and so has a page that is loaded again while they compute. */
async function checkRenewed(name: string, browser: Engine, server: Server): Promise<void> {
  for (const plainBuild of [false, true]) {
    const task = {place: 'page', kernels: 'embedded', threads: 1, plainBuild, timed: false} satisfies Task;
    const url = `${server.origin}/isolated.html`;
    const page = await browser.newPage();
    try {
      for (const load of ['first', 'second']) {
        await page.goto(url);
        const results = (await page.evaluate(`renew(${JSON.stringify(task)})`)) as ThreadsResult[];
        for (const result of results) {
          const told = `${name}, tfjs's ${plainBuild ? 'plain' : 'threaded'} build, ${load} load`;
          assert.deepEqual(result, {...result, count: 2, workersComputed: true, sameBits: true}, told);
        }
      }
    } finally {
      await page.close();
    }
  }
  console.log(`${name}: threads after tf.removeBackend('wasm'), and after the page was loaded again.`);
}

/** Where no WebAssembly is allowed, tfjs has no wasm backend either, and im2win serves cpu. */
async function checkForbidden(
  name: string,
  browser: Engine,
  server: Server,
  expected: Browser['forbidden'],
): Promise<void> {
  for (const kernels of ['embedded', 'url'] as const) {
    const expression = `register({kernels: '${kernels}'}).then((im2win) => [...im2win.backends, im2win.status()].join(': '))`;
    const told = (await withPage(browser, `${server.origin}/forbidden.html`, expression)) as string;
    console.log(`${name}, WebAssembly forbidden, kernels ${kernels}: ${told}`);
    assert.match(told, expected[kernels]);
  }
}
