// Many random jobs on threads, here and in worker_threads with a tfjs of their own at the same time, each compared bit
// for bit with one thread; and before that whether the process is idle where nothing runs.
import {setTimeout} from 'node:timers/promises';
import {Worker} from 'node:worker_threads';
import '@tensorflow/tfjs-backend-wasm';
import {SingleBar} from 'cli-progress';
import {program} from 'commander';
import {wholeNumber} from '../wholeNumber.ts';
import {type JobsOptions, type JobsResult, runJobs} from './jobs.ts';

const {jobs, seed, threads, workers, json} = program
  .name('npm run test:threads --')
  .description('Compares random convolutions on several threads with the same on one.')
  .option('--jobs <n>', 'jobs, shared out to this thread and the workers', wholeNumber(1), 50_000)
  .option('--seed <n>', 'seed of the jobs', wholeNumber(0), Math.floor(Math.random() * 2 ** 31))
  .option('--threads <n>', 'the most threads of each', wholeNumber(1), 4)
  .option('--workers <n>', 'worker_threads with a tfjs of their own beside this thread', wholeNumber(0), 2)
  .option('--json', 'print the result as JSON', false)
  .parse()
  .opts<{jobs: number; seed: number; threads: number; workers: number; json: boolean}>();

/** Of a core, over a second in which nothing runs. */
const MOST_IDLE_PERCENT = 1;

const bar = new SingleBar({
  format: '{bar} {percentage} %  {value} of {total} jobs',
  hideCursor: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  stream: process.stderr,
});

function inWorker(options: JobsOptions): Promise<JobsResult> {
  const worker = new Worker(new URL('actor.ts', import.meta.url), {workerData: options});
  return new Promise((resolve, reject) => {
    worker.on('message', ({done, result}: {done?: number; result?: JobsResult}) => {
      if (done !== undefined) bar.increment(done);
      if (result !== undefined) resolve(result);
    });
    worker.on('error', reject);
  });
}

/** What the process takes of a core over a second in which nothing runs. */
async function idlePercent(): Promise<number> {
  const seconds: number[] = [];
  // The engine may still compile, or collect garbage, in one of them.
  for (let i = 0; i < 3; ++i) {
    const before = process.cpuUsage();
    const start = performance.now();
    await setTimeout(1000);
    const {user, system} = process.cpuUsage(before);
    seconds.push((user + system) / 10 / (performance.now() - start));
  }
  return Math.min(...seconds);
}

// On a busy host a process that has done nothing yet is charged with more than a percent, too.
const bare = await idlePercent();
await runJobs({jobs: 300, seed, numThreads: threads, keepsThreads: true});
await setTimeout(100);
const idle = Math.max(0, (await idlePercent()) - bare);
bar.start(jobs, 0);
const share = Math.ceil(jobs / (workers + 1));
const results = await Promise.all(
  Array.from({length: workers + 1}, (_, i) => {
    const options = {jobs: share, seed: seed + i, numThreads: threads};
    return i > 0 ? inWorker(options) : runJobs({...options, onDone: (done) => bar.increment(done)});
  }),
);
bar.update(jobs);
bar.stop();
const failures = results.flatMap(({failure}, i) =>
  failure === undefined ? [] : [`${i === 0 ? 'here' : `worker ${i}`}: ${failure}`],
);
if (idle >= MOST_IDLE_PERCENT) {
  failures.push(
    `with nothing to do the process takes ${idle.toFixed(2)} % of a core more than before the first job; allowed: below ${MOST_IDLE_PERCENT} %`,
  );
}
if (json) console.log(JSON.stringify({seed, idlePercent: idle, results, failures}, undefined, 2));
else {
  console.table(results.map(({failure: _, ...counts}) => counts));
  console.log(`idle: ${idle.toFixed(2)} % of a core more than before the first job. seed ${seed}`);
  for (const failure of failures) console.error(`FAILED: ${failure}`);
}
if (failures.length > 0) process.exitCode = 1;
