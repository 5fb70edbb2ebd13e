// What the threads of tfjs's own build cost im2win's, on an isolated page in Chromium.
import {writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import Table from 'cli-table3';
import {Command} from 'commander';
import {build} from 'esbuild';
import {launchChromium} from '../test/browser/engines.ts';
import {serve} from '../test/browser/server.ts';
import {describeMachine} from './bench.ts';
import {outputFile, repetitions} from './program.ts';
import type {Contender} from './spinningPage.ts';

const CONTENDERS: readonly Contender[] = ['stock', 'threaded', 'plain'];

const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

await new Command('npm run bench:spinning --')
  .description(
    "im2win beside tfjs's threads, and with tfjs's build without any: two threads each, in turn, in Chromium.",
  )
  .option('--rounds <n>', 'rounds of five runs each', repetitions, 11)
  .option('--json <file>', "write the result as JSON; '-' prints it instead of the table", outputFile)
  .action(main)
  .parseAsync();

async function main({rounds, json}: {rounds: number; json?: string}): Promise<void> {
  const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const bundle = await build({
    entryPoints: [folder('spinningPage.ts')],
    bundle: true,
    write: false,
    logLevel: 'error',
  });
  const server = await serve(
    {
      '/tfjs/': folder('../node_modules/@tensorflow/tfjs-backend-wasm/dist/'),
      '/page.js': {text: bundle.outputFiles[0].text},
      '/page.html': {text: '<!doctype html>\n<script src="/page.js"></script>'},
    },
    () => ISOLATED,
  );
  const browser = await launchChromium();
  try {
    const open = async (contender: Contender) => {
      const page = await browser.newPage();
      await page.goto(`${server.origin}/page.html`);
      const names = (await page.evaluate(`openContender('${contender}')`)) as string[];
      return {page, names};
    };
    const pages = {stock: await open('stock'), threaded: await open('threaded'), plain: await open('plain')};
    const rows = [];
    for (const name of pages.stock.names) {
      const times: Record<Contender, number[]> = {stock: [], threaded: [], plain: []};
      for (let round = 0; round < rounds; ++round) {
        for (const contender of CONTENDERS) {
          times[contender].push((await pages[contender].page.evaluate(`time('${name}', 5)`)) as number);
        }
      }
      const cost = median(times.threaded.map((time, i) => time / times.plain[i]));
      rows.push({
        name,
        stock: median(times.stock),
        threaded: median(times.threaded),
        plain: median(times.plain),
        cost,
      });
    }
    const table = new Table({
      head: ['ms', 'stock', "im2win beside tfjs's threads", "with tfjs's plain build", 'times as long'],
      colAligns: ['left', 'right', 'right', 'right', 'right'],
      style: {head: [], border: [], compact: true},
    });
    for (const {name, stock, threaded, plain, cost} of rows) {
      table.push([name, ...[stock, threaded, plain, cost].map((value) => value.toFixed(2))]);
    }
    const text = `${JSON.stringify(rows, undefined, 2)}\n`;
    if (json === '-') {
      process.stdout.write(text);
      return;
    }
    const {cpu, tfjs, date} = describeMachine();
    console.log(`${table}\n${cpu}, Chromium ${browser.version()}, tfjs ${tfjs}, ${date}`);
    if (json !== undefined) writeFileSync(json, text);
  } finally {
    await browser.close();
    server.close();
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
