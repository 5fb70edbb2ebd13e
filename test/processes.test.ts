// What threads do to the process that has them: nothing. The built package in processes of their own.
import {type ChildProcess, spawn} from 'node:child_process';
import path from 'node:path';

const ROOT = path.join(__dirname, '..');

/**
 * `threaded(registration)` convolves until a worker has computed a task, and gives whether all results were those of
 * one thread.
 */
const PRELUDE = `
const workerThreads = require('node:worker_threads');
const controls = [];
const {Worker} = workerThreads;
workerThreads.Worker = class extends Worker {
  constructor(script, options) {
    super(script, options);
    if (options.workerData?.control) controls.push(options.workerData.control);
  }
};
const tf = require('@tensorflow/tfjs-core');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const convolve = () => tf.tidy(() => {
  const x = tf.randomUniform([1, 40, 41, 64], -1, 1, 'float32', 1);
  return tf.conv2d(x, tf.randomUniform([3, 3, 64, 64], -1, 1, 'float32', 2), 1, 'same').dataSync();
});
const tookPart = () => controls.some((control) => Atomics.load(control, 16) > 0);
async function threaded(registration) {
  const most = registration.numThreads;
  if (most > 1) registration.setNumThreads(1);
  const serial = convolve();
  if (most > 1) registration.setNumThreads(most);
  for (let i = 0; i < 1000; ++i) {
    if (!convolve().every((value, j) => Object.is(value, serial[j]))) return 'other bits';
    if (registration.numThreads === 1 || tookPart()) break;
    await sleep(10);
  }
  return [tookPart() ? 'threads' : 'one thread', registration.whyOneThread].filter(Boolean).join(': ');
}
`;

const REGISTERED = `const registration = await require('tfjs-im2win').registerIm2win({numThreads: 2});
await tf.setBackend('wasm');`;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Options {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: (child: ChildProcess) => void;
}

/** @param body Runs in an async function. */
function run(body: string, {args = [], env = {}, onOutput}: Options = {}): Promise<Ended> {
  const code = `${PRELUDE}\n(async () => {${body}\n})();`;
  const child = spawn(process.execPath, [...args, '-e', code], {cwd: ROOT, env: {...process.env, ...env}});
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
    onOutput?.(child);
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({code, signal, stdout: stdout.trim(), stderr}));
  });
}

const SAYS_THREADS = 'console.log(await threaded(registration));';

test.each([
  ['ends by itself', '', {code: 0}],
  ['has the code of process.exit()', 'process.exit(3);', {code: 3}],
  ['has the code of process.exitCode', 'process.exitCode = 5;', {code: 5}],
  // 7 is stock's doing: its wasm backend throws again what nobody caught.
  ['ends by an error that nobody caught', "throw new Error('its own');", {code: 7}],
  ['ends in the middle of a turn', 'setImmediate(() => { convolve(); process.exit(4); });', {code: 4}],
  ['ends after tf.removeBackend()', "tf.removeBackend('wasm');", {code: 0}],
  ['ends after unregister()', 'registration.unregister();', {code: 0}],
])('a process with threads %s', async (_, last, expected) => {
  const ended = await run(`${REGISTERED} ${SAYS_THREADS} ${last}`);
  expect(ended).toMatchObject({...expected, signal: null, stdout: 'threads'});
  expect(ended.stderr).toMatch(expected.code === 7 ? /Error: its own/ : /^$/);
});

test('SIGTERM ends a process with threads', async () => {
  const ended = await run(`${REGISTERED} ${SAYS_THREADS} setInterval(convolve, 1);`, {
    onOutput: (child) => child.kill('SIGTERM'),
  });
  expect(ended).toMatchObject({code: null, signal: 'SIGTERM', stdout: 'threads'});
});

const ALL_FILES = `['', '-simd', '-threaded-simd'].map((kind) => 'tfjs-backend-wasm' + kind + '.wasm')`;
const FOLDER = "path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))";
const PATHS = "const path = require('node:path'); const fs = require('node:fs');";

test.each([
  [
    'registerIm2win() not awaited',
    "const promise = require('tfjs-im2win').registerIm2win({numThreads: 2});",
    '',
  ],
  ['/auto', "const {ready: promise} = require('tfjs-im2win/auto');", ''],
  [
    'setBackend() under way before registerIm2win()',
    "const backend = tf.setBackend('wasm'); const promise = require('tfjs-im2win').registerIm2win({numThreads: 2}); await backend;",
    '',
  ],
  ['a folder of its own for the files', `${PATHS} wasm.setWasmPaths(${FOLDER} + '/');`, 'register'],
  [
    'a path for each file',
    `${PATHS} wasm.setWasmPaths(Object.fromEntries(${ALL_FILES}.map((name) => [name, path.join(${FOLDER}, name)])));`,
    'register',
  ],
  [
    'a data: URL for each file',
    `${PATHS} wasm.setWasmPaths(Object.fromEntries(${ALL_FILES}.map((name) => [name,
      'data:application/wasm;base64,' + fs.readFileSync(path.join(${FOLDER}, name)).toString('base64')])), true);`,
    'register',
  ],
])('threads after %s', async (_, first, register) => {
  const promise = register && "const promise = require('tfjs-im2win').registerIm2win({numThreads: 2});";
  const ended = await run(`${first} ${promise}
    await tf.setBackend('wasm');
    const registration = await promise;
    ${SAYS_THREADS}`);
  expect(ended).toEqual({code: 0, signal: null, stdout: 'threads', stderr: ''});
});

test('threads where nobody calls setBackend()', async () => {
  const ended = await run(`const registration = await require('tfjs-im2win').registerIm2win({numThreads: 2});
    await tf.ready();
    ${SAYS_THREADS}`);
  expect(ended).toEqual({code: 0, signal: null, stdout: 'threads', stderr: ''});
});

test('one thread where the backend started first, and what to do', async () => {
  const ended = await run(`await tf.setBackend('wasm');
    const registration = await require('tfjs-im2win').registerIm2win({numThreads: 2});
    ${SAYS_THREADS}`);
  expect(ended).toMatchObject({code: 0, stderr: ''});
  expect(ended.stdout).toMatch(
    /^one thread: .*Call registerIm2win\(\) before tf\.setBackend\('wasm'\); the heap of a backend that runs stays as it is$/,
  );
});

test('what a process was started with is not for the workers', async () => {
  const preload = "data:text/javascript,console.log('loaded')";
  const ended = await run(`${REGISTERED} ${SAYS_THREADS}`, {
    args: ['--import', preload],
    env: {NODE_OPTIONS: '--enable-source-maps --max-old-space-size=512'},
  });
  expect(ended).toEqual({code: 0, signal: null, stdout: 'loaded\nthreads', stderr: ''});
});

test('one thread where workers are not permitted, and the reason', async () => {
  const permission =
    Number(process.versions.node.split('.')[0]) >= 23 ? '--permission' : '--experimental-permission';
  const ended = await run(`${REGISTERED} ${SAYS_THREADS}`, {
    args: [permission, '--allow-fs-read=*', '--no-warnings'],
  });
  expect(ended).toMatchObject({code: 0, stderr: ''});
  expect(ended.stdout).toMatch(/^one thread: no worker can be started here: .*(permission|restricted)/i);
});

// A worker of the user's, with a tfjs of its own.
const IN_WORKER = `
const userWorker = new Worker(${JSON.stringify(`${PRELUDE}
(async () => {
  ${REGISTERED}
  workerThreads.parentPort.postMessage(await threaded(registration));
  LAST
})();`)}.replace('LAST', last), {eval: true});
userWorker.on('error', (error) => console.log('error', error.message));
userWorker.on('exit', (code) => console.log('ended', code));
const message = await new Promise((resolve) => userWorker.once('message', resolve));
console.log(message);`;

test.each([
  ['ends by itself', '', '', 'threads\nended 0'],
  ['ends by process.exit()', 'process.exit(3);', '', 'threads\nended 3'],
  [
    'is terminated while it computes',
    'setInterval(convolve, 1);',
    'await sleep(50); await userWorker.terminate();',
    'threads\nended 1',
  ],
  [
    'is terminated while it sleeps',
    'setInterval(() => {}, 1000);',
    'await sleep(300); await userWorker.terminate();',
    'threads\nended 1',
  ],
])("a worker of the user's has threads of its own, and %s", async (_, last, then, expected) => {
  const ended = await run(`const last = ${JSON.stringify(last)}; ${IN_WORKER} ${then}`);
  expect(ended).toEqual({code: 0, signal: null, stdout: expected, stderr: ''});
});

test("threads here and in workers of the user's at the same time", async () => {
  const ended = await run(`${REGISTERED} const last = '';
    const mine = threaded(registration);
    ${IN_WORKER}
    console.log(await mine);`);
  expect(ended).toMatchObject({code: 0, signal: null, stderr: ''});
  expect(ended.stdout.split('\n').sort()).toEqual(['ended 0', 'threads', 'threads']);
});
