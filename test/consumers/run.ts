// Installs the packed tarball into small projects outside this repository, one of each kind that uses
// it, builds them, runs them, and compares what they compute with stock.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Command, InvalidArgumentError} from 'commander';
import {transformSync} from 'esbuild';
import type {Browser} from 'playwright-core';
import {packInto} from '../../scripts/pack.ts';
import {launchChromium} from '../browser/engines.ts';
import {serve} from '../browser/server.ts';

interface Consumer {
  readonly name: string;
  /** How its check.js, and beside it check.cjs, is written. */
  readonly checks: Readonly<Record<string, 'esm' | 'cjs' | 'iife'>>;
  /** Each prints its result. */
  readonly programs?: readonly string[];
  /** What runs the programs, Node if nothing is said: a command in its folder, and its arguments. */
  readonly runner?: readonly string[];
  /** What Chromium opens; each page keeps its result in the global `result`. */
  readonly pages?: readonly string[];
  /** Why one thread computes, of all entries or of some. */
  readonly oneThread?: RegExp | Readonly<Record<string, RegExp>>;
  /** The folder of the pages. */
  readonly site?: string;
}

const ESM = {'check.js': 'esm'} as const;
const COMPILED = /given as a compiled module/;
const PAGES = ['main.html', 'auto.html', 'slim.html'];
/** The last is isolated. */
const THREADED_PAGES = [...PAGES, 'threads.html'];
const NOT_ISOLATED = Object.fromEntries(
  [...PAGES, 'tf.min.html', 'tf.es2017.min.html'].map((page) => [page, /only if it is isolated/]),
);
const PROGRAMS = ['main.js', 'auto.js', 'slim.js'];
const CONSUMERS: readonly Consumer[] = [
  {name: 'node-esm', checks: ESM, programs: PROGRAMS},
  {
    name: 'node-cjs',
    checks: {'check.js': 'cjs'},
    programs: PROGRAMS,
    oneThread: {'slim.js': COMPILED},
  },
  {
    name: 'typescript',
    checks: {...ESM, 'check.cjs': 'cjs'},
    programs: ['main.mjs', 'auto.mjs', 'slim.cjs'],
  },
  {name: 'tfjs-union', checks: ESM, programs: PROGRAMS},
  {
    name: 'tfjs-4.0',
    checks: ESM,
    programs: [...PROGRAMS, 'optimize.js'],
    oneThread: {'optimize.js': /had started before/},
  },
  {name: 'bun', checks: ESM, programs: PROGRAMS, runner: ['node_modules/.bin/bun']},
  {
    name: 'deno',
    checks: ESM,
    programs: PROGRAMS,
    runner: ['node_modules/.bin/deno', 'run', '--allow-read'],
  },
  {
    name: 'workerd',
    checks: ESM,
    programs: ['cpu.js', 'slim.js'],
    runner: [process.execPath, 'run.js'],
    // It has one core, so that there is nothing to tell.
    oneThread: /^$/,
  },
  {
    name: 'jest-jsdom',
    checks: {'check.js': 'cjs'},
    programs: ['main.test.js', 'auto.test.js', 'slim.test.js'],
    runner: ['node_modules/.bin/jest'],
  },
  {name: 'vite', checks: ESM, pages: THREADED_PAGES, oneThread: NOT_ISOLATED, site: 'site'},
  {name: 'webpack', checks: ESM, pages: THREADED_PAGES, oneThread: NOT_ISOLATED, site: 'site'},
  {name: 'esbuild', checks: ESM, pages: PAGES, oneThread: NOT_ISOLATED, site: 'site'},
  {
    name: 'script',
    checks: {'check.js': 'iife'},
    pages: ['tf.min.html', 'tf.es2017.min.html'],
    oneThread: NOT_ISOLATED,
    site: '.',
  },
];

interface Result {
  readonly simd: string;
  /** Kernel and algorithm of each convolution. */
  readonly taken: readonly string[];
  readonly threads: {
    readonly count: number;
    readonly reason?: string;
    readonly workersComputed: boolean;
    readonly sameBits: boolean;
  };
  readonly largestValue: number;
  readonly largestDifference: number;
}

/**
 * Nothing inline, nothing evaluated, WebAssembly: what pages here are allowed. tf.min.js evaluates a
 * string at its start; tf.es2017.min.js does not. One page is isolated; a worker's script must say that it may be there.
 */
function headersOf(file: string): Record<string, string> {
  const evaluation = file === '/tf.min.html' ? " 'unsafe-eval'" : '';
  const policy = {'Content-Security-Policy': `script-src 'self' 'wasm-unsafe-eval'${evaluation}`};
  if (file !== '/threads.html' && !file.endsWith('.js')) return policy;
  return {
    ...policy,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
}

const NPM_FLAGS = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
const HERE = fileURLToPath(new URL('.', import.meta.url));

await new Command('npm run test:consumers --')
  .description('Uses the packed package in projects of every kind. Needs Chromium, and `npm run build`.')
  .option('--only <names>', `comma-separated, of ${CONSUMERS.map(({name}) => name).join(', ')}`, choose)
  .option('--json <file>', 'write the results as JSON')
  .action(main)
  .parseAsync();

async function main(options: {only?: readonly Consumer[]; json?: string}): Promise<void> {
  const {only: consumers = CONSUMERS, json} = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'tfjs-im2win-consumers-'));
  const browser = consumers.some(({pages}) => pages) ? await launchChromium() : undefined;
  try {
    const tarball = packInto(folder).file;
    const results: Record<string, Record<string, Result>> = {};
    for (const consumer of consumers) {
      const start = performance.now();
      const home = path.join(folder, consumer.name);
      await install(consumer, home, tarball);
      results[consumer.name] = {
        ...(await runPrograms(consumer, home)),
        ...(browser && (await openPages(consumer, home, browser))),
      };
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const {oneThread} = consumer;
      for (const [entry, result] of Object.entries(results[consumer.name])) {
        checkResult(
          `${consumer.name}/${entry}`,
          result,
          oneThread instanceof RegExp ? oneThread : oneThread?.[entry],
        );
      }
      console.log(`  ${seconds} s`);
    }
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`);
  } finally {
    await browser?.close();
    rmSync(folder, {recursive: true});
  }
}

function choose(names: string): readonly Consumer[] {
  return names.split(',').map((name) => {
    const found = CONSUMERS.find((consumer) => consumer.name === name);
    if (found === undefined) throw new InvalidArgumentError(`There is none named ${name}.`);
    return found;
  });
}

/** From the lock file; the tarball on top, which no lock file can name. */
async function install({name, checks, site}: Consumer, home: string, tarball: string): Promise<void> {
  cpSync(path.join(HERE, name), home, {recursive: true, filter: (file) => !file.includes('node_modules')});
  const check = readFileSync(path.join(HERE, 'check.js'), 'utf8');
  for (const [file, format] of Object.entries(checks)) {
    const {code} = transformSync(check, {format, globalName: format === 'iife' ? 'check' : undefined});
    writeFileSync(path.join(home, file), code);
  }
  await run(home, 'npm', 'ci', ...NPM_FLAGS);
  await run(home, 'npm', 'install', '--no-save', ...NPM_FLAGS, tarball);
  await run(home, 'npm', 'run', '--if-present', 'build');
  if (site === 'site') checkNothing(path.join(home, site));
}

/** A program that imports the package and does not use it must not contain it. */
function checkNothing(site: string): void {
  const files = readdirSync(site, {recursive: true, encoding: 'utf8'});
  const found = files.filter((file) => /(^|\/)nothing[-\w]*\.js$/.test(file));
  assert.equal(found.length, 1, `${site} has ${found.length} scripts named nothing`);
  assert.doesNotMatch(readFileSync(path.join(site, found[0]), 'utf8'), /im2win/);
}

async function runPrograms(
  {programs = [], runner = [process.execPath]}: Consumer,
  home: string,
): Promise<Record<string, Result>> {
  const results: Record<string, Result> = {};
  const [command, ...args] = runner;
  for (const program of programs) results[program] = JSON.parse(await run(home, command, ...args, program));
  return results;
}

async function openPages(
  {name, pages = [], site = ''}: Consumer,
  home: string,
  browser: Browser,
): Promise<Record<string, Result>> {
  const tfjs = path.join(home, 'node_modules/@tensorflow/tfjs-backend-wasm/dist');
  const server = await serve({'/tfjs/': tfjs, '/': path.join(home, site)}, headersOf);
  const results: Record<string, Result> = {};
  try {
    for (const file of pages) {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('pageerror', ({message}) => complaints.push(message));
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      await page.goto(`${server.origin}/${file}`);
      const result = await page.evaluate('globalThis.result').catch(({message}) => {
        complaints.push(message);
      });
      if (result === undefined) throw new Error(`${name}/${file} has no result. ${complaints.join('\n')}`);
      results[file] = result as Result;
      await page.close();
    }
  } finally {
    server.close();
  }
  return results;
}

function checkResult(name: string, result: Result, oneThread: RegExp | undefined): void {
  const {simd, taken, threads, largestValue, largestDifference} = result;
  const share = largestDifference / largestValue;
  console.log(
    `${name.padEnd(20)} ${simd}: ${taken.join(', ')}; largest difference ${share.toExponential(1)}; ` +
      `${threads.count} thread(s)${threads.reason === undefined ? '' : `: ${threads.reason}`}`,
  );
  assert.ok(threads.sameBits, 'several threads have other bits than one');
  assert.equal(threads.workersComputed, oneThread === undefined);
  if (oneThread !== undefined) assert.match(threads.reason ?? '', oneThread);
  for (const kernel of ['FusedConv2D', 'Conv2D', 'DepthwiseConv2dNative']) {
    assert.ok(
      taken.some((one) => one.startsWith(`${kernel} by `)),
      `${kernel} was not routed`,
    );
  }
  for (const one of taken) assert.doesNotMatch(one, /by stock$/);
  // The bound of docs/design.md for Winograd. The two sum in different orders: they do differ.
  assert.ok(share > 0 && share <= 1e-5, `the largest difference is ${share} of the largest value`);
}

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(command, args, {cwd, timeout: 300_000})).stdout;
  } catch (error) {
    const {stdout, stderr} = error as {stdout: string; stderr: string};
    throw new Error(`${command} ${args.join(' ')}, in ${path.basename(cwd)}:\n${stdout}${stderr}`);
  }
}
