// Runs rows of random cases against the double precision reference.
import {SingleBar} from 'cli-progress';
import {InvalidArgumentError, Option, program} from 'commander';
import fc from 'fast-check';
import {wholeNumber} from '../wholeNumber.ts';
import {type AnyFuzzRow, ROWS} from './rows.ts';

function casePath(text: string): string {
  if (!/^\d+(:\d+)*$/.test(text))
    throw new InvalidArgumentError('It must be numbers with colons between them.');
  return text;
}

const options = program
  .name('npm run fuzz --')
  .description('Compares random convolutions with a double precision reference.')
  .option('--cases <n>', 'cases, shared out to the rows', wholeNumber(1), 20_000)
  .option('--seed <n>', 'seed of the cases', wholeNumber(0), Math.floor(Math.random() * 2 ** 31))
  .addOption(new Option('--row <name>', 'one row only').choices(ROWS.map(({name}) => name)))
  .option('--path <path>', 'of one case in a row, as a failure prints it', casePath)
  .option('--json', 'print the result as JSON', false)
  .parse()
  .opts<{cases: number; seed: number; row?: string; path?: string; json: boolean}>();

if (options.path !== undefined && options.row === undefined) {
  program.error('error: --path is of one row: name it with --row');
}
const rows = ROWS.filter(({name}) => options.row === undefined || options.row === name);
const perRow = Math.ceil(options.cases / rows.length);

interface RowResult {
  row: string;
  cases: number;
  failure?: string;
  reproduce?: string;
}

const bar = new SingleBar({
  format: '{bar} {percentage} %  {value} of {total} cases  {row}',
  hideCursor: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  stream: process.stderr,
});

async function fuzz(row: AnyFuzzRow): Promise<RowResult> {
  let count = 0;
  await row.start();
  const details = await fc.check(
    fc.asyncProperty(row.cases, async (one) => {
      await row.run(one);
      ++count;
      bar.increment({row: row.name});
    }),
    {seed: options.seed, numRuns: perRow, path: options.path, endOnFailure: options.path !== undefined},
  );
  await row.stop();
  if (!details.failed) return {row: row.name, cases: count};
  const one = details.counterexample?.[0];
  // What earlier cases left behind may be part of it: then only the whole run shows it.
  const alone = await failsAlone(row, one);
  const rest = alone ? `--path ${details.counterexamplePath}` : `--cases ${perRow}`;
  return {
    row: row.name,
    cases: count,
    failure: `${(details.errorInstance as Error).message}\n  case ${JSON.stringify(one)}`,
    reproduce: `npm run fuzz -- --row ${row.name} --seed ${details.seed} ${rest}`,
  };
}

async function failsAlone(row: AnyFuzzRow, one: unknown): Promise<boolean> {
  await row.start();
  try {
    await row.run(one);
    return false;
  } catch {
    return true;
  } finally {
    await row.stop();
  }
}

bar.start(perRow * rows.length, 0, {row: ''});
const results: RowResult[] = [];
for (const row of rows) results.push(await fuzz(row));
bar.stop();

const failed = results.filter(({failure}) => failure !== undefined);
if (options.json) {
  console.log(JSON.stringify({seed: options.seed, results}, undefined, 2));
} else {
  for (const {row, cases, failure, reproduce} of results) {
    console.log(
      `${row.padEnd(32)}${failure === undefined ? `${cases} cases passed` : `FAILED: ${failure}\n  ${reproduce}`}`,
    );
  }
  console.log(`seed ${options.seed}`);
}
if (failed.length > 0) process.exitCode = 1;
