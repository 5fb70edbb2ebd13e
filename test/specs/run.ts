// Runs tfjs-core's specs on a backend by stock tfjs and with the plugin, and
// fails if a spec that stock passes fails with the plugin.
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {Option, program} from 'commander';
import {BACKENDS, type Backend, bundleSpecs, type SpecRun, type SpecSet} from './bundle.ts';
import type {SpecResult} from './worker.ts';

const options = program
  .name('test/specs/run.ts')
  .description("Runs tfjs-core's own specs by stock tfjs and with the plugin.")
  .addOption(new Option('--backend <name>', 'the backend').choices(BACKENDS).default('wasm'))
  .addOption(
    new Option('--set <name>', 'which specs')
      .choices(['convolution', 'matMul', 'all'])
      .default('convolution'),
  )
  .option('--corrupt', 'spoil one value of each output: the run must fail', false)
  .option('--json', 'print the result as JSON', false)
  .parse()
  .opts<{backend: Backend; set: SpecSet; corrupt: boolean; json: boolean}>();

async function runSpecs(run: SpecRun): Promise<SpecResult> {
  const worker = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), [await bundleSpecs(run)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [result] = (await Promise.race([once(worker, 'message'), once(worker, 'exit')])) as [
    SpecResult | number,
  ];
  if (typeof result !== 'object')
    throw new Error(`The specs of ${JSON.stringify(run)} ended with ${result}.`);
  await once(worker, 'exit');
  return result;
}

const {backend, set, corrupt} = options;
const [stock, plugin] = await Promise.all([
  runSpecs({backend, set, plugin: false, corrupt: false}),
  runSpecs({backend, set, plugin: true, corrupt}),
]);
const broken = stock.passed.filter((name) => !plugin.passed.includes(name));
const mended = plugin.passed.filter((name) => !stock.passed.includes(name));
const summary = {
  backend,
  set,
  specs: stock.passed.length + stock.failed.length,
  specsWithPlugin: plugin.passed.length + plugin.failed.length,
  stockPasses: stock.passed.length,
  pluginPasses: plugin.passed.length,
  convolutionsTaken: plugin.convolutionsTaken,
  mended,
  failing: plugin.failed.map(({name, message}) => ({name, message: message.split('\n')[0]})),
  broken: broken.map((name) => ({name, message: plugin.failed.find((spec) => spec.name === name)?.message})),
};

if (options.json) {
  console.log(JSON.stringify(summary, undefined, 2));
} else {
  console.log(
    `${set} specs on ${backend}: stock passes ${summary.stockPasses} of ${summary.specs}, ` +
      `with the plugin ${summary.pluginPasses} (${summary.convolutionsTaken} convolutions taken); ` +
      `${mended.length} mended, ${broken.length} broken`,
  );
  for (const {name, message} of summary.broken.slice(0, 20))
    console.log(`broken: ${name}\n  ${message?.split('\n')[0]}`);
}
// Of tfjs 4.22: [specs, passed by stock]. A bundle that lost its specs would be green without them.
const EXPECTED = {
  wasm: {convolution: [277, 216], matMul: [93, 89], all: [4225, 3891]},
  cpu: {convolution: [277, 277], matMul: [93, 93], all: [4227, 4227]},
};
const [specs, passed] = EXPECTED[backend][set];
if (summary.specs !== specs || summary.stockPasses !== passed) {
  console.error(`expected ${specs} specs, of which stock passes ${passed}`);
  process.exitCode = 1;
}
if (broken.length > 0 || summary.specs !== summary.specsWithPlugin || summary.specs === 0)
  process.exitCode = 1;
