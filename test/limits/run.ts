// Runs calls at limits, each in processes of its own, by stock and by im2win.
import {fork} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import Table from 'cli-table3';
import {InvalidArgumentError, program} from 'commander';
import {progressBar} from '../../bench/progress.ts';
import {casesOf, leftOutOnCpu} from './cases.ts';
import type {Outcome, Task} from './child.ts';
import {type Ending, judge, MILLISECONDS, mebibytes} from './judge.ts';
import {callName, caseName, type LimitCase} from './limitCase.ts';

const options = program
  .name('npm run test:limits --')
  .description(
    'Calls with sizes around 2^31 and 2^32 bytes, and with strides, dilations and pads as large: each must come out ' +
      'right or with a clear error, every other tensor whole, in bounded time and memory.\n\n' +
      'On cpu those are left out that have a tensor of more than 64 MiB: --list names them.',
  )
  .option('--only <text>', 'cases whose names have this text in them')
  .option('--share <n>', 'one of so many of the generated cases; 1 is all', wholeNumber, 9)
  .option('--jobs <n>', 'processes at a time', wholeNumber, 2)
  .option('--slow-passes', 'lists slow cases, which then do not fail: for machines with other work', false)
  .option('--list', 'names the cases and ends', false)
  .option('--json', 'print the result as JSON', false)
  .parse()
  .opts<{only?: string; share: number; jobs: number; slowPasses: boolean; list: boolean; json: boolean}>();

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

const SECONDS = {stock: 20, im2win: 30};
const MOST_BYTES = 6 * 2 ** 30;

/** A call that is slow may have met a busy machine. */
const TRIES = 3;

/** Compiled code: a process starts in half the time. */
const CACHE = fileURLToPath(new URL('../../output/limits/compiled', import.meta.url));
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

function runTask(task: Task): Promise<Ending> {
  return new Promise((resolve) => {
    const child = fork(CHILD, [JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {...process.env, NODE_COMPILE_CACHE: CACHE},
    });
    let ending: Ending | undefined;
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr = `${stderr}${text}`.slice(-2000);
    });
    const end = (kind: 'hang' | 'memory', message: string) => {
      ending ??= {kind, message};
      child.kill('SIGKILL');
    };
    const seconds = SECONDS[task.contender];
    const limit = setTimeout(() => end('hang', `not done in ${seconds} s`), 1000 * seconds);
    const watch = setInterval(() => {
      const bytes = residentBytes(child.pid);
      if (bytes > MOST_BYTES) end('memory', `more than ${mebibytes(MOST_BYTES)}`);
    }, 200);
    child.on('message', (outcome) => {
      ending ??= outcome as Outcome;
    });
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      clearInterval(watch);
      const reason = stderr.split('\n').find((line) => /error/i.test(line)) ?? '';
      resolve(ending ?? {kind: 'crash', message: `ended with ${code ?? signal} ${reason}`.trim()});
    });
  });
}

/** Of a process; 0 where the system does not tell. */
function residentBytes(pid: number | undefined): number {
  try {
    return 1024 * Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

interface Result {
  readonly name: string;
  readonly backend: string;
  readonly op: string;
  readonly im2win: Ending;
  readonly stock: Ending;
  readonly failure?: string;
  /** All of its processes, from start to end. */
  readonly seconds: number;
}

/** Stock's endings, which both flavours of ours are compared with. */
const stockEndings = new Map<string, Promise<Ending>>();

async function runCase(limitCase: LimitCase): Promise<Result> {
  const {call, backend} = limitCase;
  const start = performance.now();
  const key = `${backend} ${callName(call)}`;
  const known = stockEndings.get(key) ?? runTask({limitCase, contender: 'stock'});
  stockEndings.set(key, known);
  const stock = await known;
  let im2win = await runTask({limitCase, contender: 'im2win'});
  let failure = judge(call, im2win, stock);
  for (let i = 1; i < TRIES && failure?.startsWith('slow'); ++i) {
    im2win = await runTask({limitCase, contender: 'im2win'});
    failure = judge(call, im2win, stock);
  }
  const seconds = (performance.now() - start) / 1000;
  return {name: caseName(limitCase), backend, op: call.op, im2win, stock, failure, seconds};
}

const KINDS = [
  'right',
  'wrong',
  'corrupts',
  'clear error',
  'unclear error',
  'crash',
  'hang',
  'memory',
] as const;

const {only} = options;
const cases = casesOf(options.share).filter((one) => only === undefined || caseName(one).includes(only));
if (options.list) {
  for (const one of cases) console.log(caseName(one));
  for (const call of leftOutOnCpu(options.share)) console.log(`left out: cpu: ${callName(call)}`);
} else if (cases.length === 0) {
  program.error(`error: no case has '${only}' in its name`);
} else {
  await runAll();
}

async function runAll(): Promise<void> {
  const bar = progressBar('{value} of {total}  {failed} failed');
  const results: Result[] = [];
  let failed = 0;
  bar.start(cases.length, 0, {failed});
  const waiting = cases.values();
  const worker = async () => {
    for (const one of waiting) {
      const result = await runCase(one);
      results.push(result);
      if (result.failure !== undefined) ++failed;
      bar.increment({failed});
    }
  };
  await Promise.all(Array.from({length: options.jobs}, worker));
  bar.stop();
  const order = new Map(cases.map((one, i) => [caseName(one), i]));
  results.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0));
  print(results);
  const counted = results.filter(
    ({failure}) => failure !== undefined && !(options.slowPasses && failure.startsWith('slow')),
  );
  if (counted.length > 0) process.exitCode = 1;
}

function print(results: readonly Result[]): void {
  const failures = results.filter(({failure}) => failure !== undefined);
  if (options.json) {
    console.log(JSON.stringify({cases: results.length, failed: failures.length, results}, undefined, 2));
    return;
  }
  const width = Math.max(0, ...failures.map(({name}) => name.length));
  for (const {name, failure} of failures) console.log(`${name.padEnd(width)}  ${failure}`);
  const table = new Table({
    head: ['', 'cases', 'by', ...KINDS, 'failed'],
    colAligns: ['left', 'right', 'left', ...KINDS.map(() => 'right' as const), 'right'],
    style: {head: [], border: [], compact: true},
  });
  const groups = [...new Set(results.map(({backend, op}) => `${backend} ${op}`))];
  for (const group of [...groups, 'all']) {
    const own = results.filter(({backend, op}) => group === 'all' || group === `${backend} ${op}`);
    const counts = (contender: 'im2win' | 'stock') =>
      KINDS.map((kind) => own.filter((result) => result[contender].kind === kind).length || '');
    const failedOfThem = own.filter(({failure}) => failure !== undefined).length;
    table.push([group, own.length, 'im2win', ...counts('im2win'), failedOfThem || '']);
    table.push(['', '', 'stock', ...counts('stock'), '']);
  }
  console.log(table.toString());
  const refused = results.filter(
    ({im2win, stock}) => im2win.kind === 'clear error' && stock.kind === 'right',
  );
  console.log(
    `${results.length - failures.length} of ${results.length} cases hold, within ${MILLISECONDS} ms and 64 MiB of stock; ` +
      `${refused.length} refused that stock computes; ${leftOutOnCpu(options.share).length} calls left out on cpu`,
  );
}
