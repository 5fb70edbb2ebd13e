// Whole networks by tfjs, im2win and other engines, each in a process of its own, in turn. The networks are written in the
// form that each engine takes.
import {execFile} from 'node:child_process';
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Command, Option} from 'commander';
import {describeMachine} from '../../bench.ts';
import {installTfjsNode} from '../../native/install.ts';
import {repetitions, threadCounts} from '../../program.ts';
import {progressBar} from '../../progress.ts';
import type {Figure} from '../../turn.ts';
import {type Contender, contendersOn, isBase} from './contenders.ts';
import {readFacts} from './files.ts';
import {type Measured, measure, type Skipped} from './measure.ts';
import {NETWORK_NAMES} from './networks.ts';
import {type Layout, Summary} from './summary.ts';

interface Options {
  networks: string[] | true;
  engines?: string[];
  threads: number[];
  reps: number;
  by: Figure;
  json?: string;
  from?: string[];
  markdown: boolean;
  keep: boolean;
}

interface Result {
  readonly machine: ReturnType<typeof describeMachine>;
  readonly measured: readonly Measured[];
  readonly skipped: readonly Skipped[];
}

const HOME = fileURLToPath(new URL('../output/', import.meta.url));

const list = (text: string) => text.split(',');
const includes = (name: string, part: string) => name.toLowerCase().includes(part.toLowerCase());

export const networksCommand = new Command('npm run bench:peers --')
  .description('Times whole networks, of the same weights, by tfjs, im2win and other engines.')
  .option('--networks [names]', `comma-separated parts of names: ${NETWORK_NAMES.join(', ')}`, list)
  .option(
    '--engines <names>',
    "comma-separated parts of names; stock's and im2win's graph models are always measured",
    list,
  )
  .option(
    '--threads <counts>',
    'comma-separated: how many threads each has, but stock, which has one',
    threadCounts,
    [1, 2],
  )
  .option('--reps <n>', 'rounds; in each every engine has a turn', repetitions, 15)
  .addOption(
    new Option(
      '--by <figure>',
      'what is compared: of a busy machine the fastest runs, or processor time, which is for one thread',
    )
      .choices(['median', 'fastest', 'cpu'])
      .default('median'),
  )
  .option('--json <file>', 'write the figures as JSON as well')
  .option('--from <file>', 'measure nothing: the tables of such files, comma-separated', list)
  .option('--markdown', 'tables in Markdown', false)
  .option('--keep', 'leave the networks in bench/peers/output; VGG-16 takes 2.8 GB', false)
  .action(async (options: Options) => {
    const result = options.from === undefined ? await run(options) : readResults(options.from);
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    print(result, options);
  });

/** Of several files the last one's machine is named. */
function readResults(files: readonly string[]): Result {
  const results: Result[] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  return {
    machine: results[results.length - 1].machine,
    measured: results.flatMap(({measured}) => measured),
    skipped: results.flatMap(({skipped}) => skipped),
  };
}

async function run({networks, engines, threads, reps, keep}: Options): Promise<Result> {
  const names = NETWORK_NAMES.filter(
    (name) => networks === true || networks.some((part) => includes(name, part)),
  );
  if (names.length === 0)
    throw new Error(`--networks: ${networks} is in none of ${NETWORK_NAMES.join(', ')}.`);
  const chosen = (contender: Contender) =>
    isBase(contender) || engines === undefined || engines.some((part) => includes(contender.name, part));
  const skipped: Skipped[] = [];
  const missing = await whyNoTfjsNode();
  const contenders = threads.map((count) => {
    const own = contendersOn(count).filter(chosen);
    if (missing === undefined) return own;
    for (const {engine, name} of own) {
      if (engine === 'tfjs-node')
        skipped.push({network: '', threads: count, contender: name, reason: missing});
    }
    return own.filter(({engine}) => engine !== 'tfjs-node');
  });
  const steps = contenders.reduce((sum, own) => sum + own.length + reps, 1);
  const bar = progressBar('{what}');
  bar.start(names.length * steps, 0, {what: ''});
  const measured: Measured[] = [];
  try {
    for (const network of names) {
      bar.increment({what: `${network} is written`});
      const folder = path.join(HOME, network);
      const write = fileURLToPath(new URL('write.ts', import.meta.url));
      await promisify(execFile)(process.execPath, [write, network, folder]);
      try {
        for (const [i, count] of threads.entries()) {
          const one = await measure(
            {
              network,
              folder,
              facts: readFacts(folder),
              threads: count,
              contenders: contenders[i],
              repetitions: reps,
            },
            (what) => bar.increment({what}),
          );
          measured.push(...one.measured);
          skipped.push(...one.skipped);
        }
      } finally {
        if (!keep) rmSync(folder, {recursive: true});
      }
    }
  } finally {
    bar.stop();
  }
  return {machine: describeMachine(), measured, skipped};
}

async function whyNoTfjsNode(): Promise<string | undefined> {
  try {
    await installTfjsNode();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function print({machine, measured, skipped}: Result, {by, markdown}: Options): void {
  const layout: Layout = markdown ? 'markdown' : 'aligned';
  const say = (text: string) => console.log(`${text}\n`);
  for (const threads of new Set(measured.map((one) => one.threads))) {
    const own = measured.filter((one) => one.threads === threads);
    const summary = new Summary(own, by);
    say(`${threads} thread${threads === 1 ? '' : 's'} each, by ${by}`);
    if (!markdown)
      for (const network of new Set(own.map((one) => one.network))) say(summary.details(network));
    say(summary.speeds(layout));
    say(summary.leads(layout));
    say(summary.firstRuns(layout));
  }
  const versions = new Set(measured.flatMap(({rows}) => rows.map(({version}) => version)));
  const difference = Math.max(...measured.flatMap(({rows}) => rows.map((row) => row.difference)));
  const rounds = measured[0].rows[0].turns.length;
  say(
    `${rounds} rounds; largest difference ${difference.toExponential(1)} of the largest output; ${machine.cpu}, ` +
      `${machine.cores} cores, ${machine.engine}, ${[...versions].join(', ')}, ${machine.date}`,
  );
  const reasons = new Map<string, string[]>();
  for (const {network, threads, contender, reason} of skipped) {
    const what = `${contender} ×${threads}${network && ` on ${network}`}`;
    reasons.set(reason, [...(reasons.get(reason) ?? []), what]);
  }
  for (const [reason, what] of reasons) say(`not available: ${what.join('; ')}: ${reason}`);
  if (skipped.length > 0) say(`${skipped.length} skipped`);
}
