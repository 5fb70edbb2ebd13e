// The benchmark judges others; this judges the benchmark.
import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type {AroundRow} from '../bench/aroundMeasure.ts';
import {type BenchResult, describeEngine} from '../bench/bench.ts';
import {CannotRun, type Contender} from '../bench/contender.ts';
import {measureLayer} from '../bench/measure.ts';
import {geometricMean, medianInterval} from '../bench/statistics.ts';
import {tf} from './tf.ts';

describe('the median with its interval', () => {
  const upTo = (n: number) => Array.from({length: n}, (_, i) => i + 1);

  // Ranks from tables of the sign test's 95 % interval.
  test.each([
    [5, 1, 5],
    [6, 1, 6],
    [9, 2, 8],
    [15, 4, 12],
    [21, 6, 16],
    [40, 14, 27],
    [100, 40, 61],
    [2000, 956, 1045],
  ])('of %i values lies between ranks %i and %i', (n, low, high) => {
    expect(medianInterval(upTo(n))).toEqual({median: (n + 1) / 2, low, high});
  });

  test('does not mind the order', () => {
    expect(medianInterval([9, 1, 5])).toEqual({median: 5, low: 1, high: 9});
  });
});

test('the geometric mean', () => {
  expect(geometricMean([1, 4])).toBeCloseTo(2);
});

describe('the command', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'im2win-bench-'));
  const layers = path.join(folder, 'layers.json');
  const call = {
    x: [1, 9, 9, 4],
    filter: [3, 3, 4, 8],
    strides: 1,
    pad: 'same',
    bias: true,
    activation: 'relu',
  };
  writeFileSync(
    layers,
    JSON.stringify([
      {...call, kernel: 'FusedConv2D'},
      {...call, kernel: 'MaxPool'},
    ]),
  );
  const run = (script: string, ...args: string[]) =>
    execFileSync(process.execPath, [path.join(__dirname, '..', script), ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });

  test('from a checkout compares all contenders, and writes JSON and a page', () => {
    const json = path.join(folder, 'result.json');
    const page = path.join(folder, 'report.html');
    const text = run(
      'bench/main.ts',
      '--threads',
      '1,3',
      '--layers',
      layers,
      '--reps',
      '3',
      '--json',
      json,
      '--report',
      page,
    );
    const result: BenchResult = JSON.parse(readFileSync(json, 'utf8'));
    const names = ['stock', 'im2win', 'winograd', 'auto', 'auto ×3', 'im2col', 'direct'];
    expect(result.rows.map(({contender}) => contender)).toEqual(names);
    for (const row of result.rows) {
      expect(row.difference).toBeLessThan(1e-5);
      expect(row.milliseconds.median).toBeGreaterThan(0);
      expect(row.ownBytes?.filter).toBeGreaterThanOrEqual(4 * 3 * 3 * 4 * 8);
    }
    expect(result.rows[1].route).toBe('im2win');
    expect(result.peaks.fma).toBeGreaterThan(1);
    expect(text).toContain('geometric mean');
    const html = readFileSync(page, 'utf8');
    expect(html).toContain('<svg');
    expect(html).toContain('of mul + add');
    expect(html).not.toMatch(/(src|href)="http/);
  });

  test('of the package compares what the package holds', () => {
    const result: BenchResult = JSON.parse(
      run('dist/cli.mjs', 'bench', '--threads', '1', '--layers', layers, '--reps', '1', '--json', '-'),
    );
    expect(result.rows.map(({contender}) => contender)).toEqual(['stock', 'im2win', 'winograd', 'auto']);
  });

  test('of the package names the backend that is not installed', () => {
    const home = mkdtempSync(path.join(os.tmpdir(), 'im2win-bench-'));
    const root = path.join(__dirname, '..');
    cpSync(path.join(root, 'dist'), path.join(home, 'dist'), {recursive: true});
    cpSync(path.join(root, 'package.json'), path.join(home, 'package.json'));
    mkdirSync(path.join(home, 'node_modules/@tensorflow'), {recursive: true});
    const core = 'node_modules/@tensorflow/tfjs-core';
    symlinkSync(path.join(root, core), path.join(home, core));
    const run = () =>
      execFileSync(process.execPath, [path.join(home, 'dist/cli.mjs'), 'bench'], {stdio: 'pipe'});
    expect(run).toThrow(
      'error: --backend wasm needs @tensorflow/tfjs-backend-wasm, which is not installed beside tfjs-im2win: ' +
        'npm install @tensorflow/tfjs-backend-wasm',
    );
    rmSync(home, {recursive: true});
  });

  test('of the kernels around convolutions times what networks call', () => {
    const run1 = (...args: string[]) => run('bench/around.ts', '--reps', '1', ...args);
    const {rows}: {rows: AroundRow[]} = JSON.parse(run1('--kernels', 'Mod,Tile', '--json', '-'));
    expect(new Set(rows.map(({kernel}) => kernel))).toEqual(new Set(['Mod', 'Tile']));
    for (const {stockMicroseconds, bytes} of rows) {
      expect(stockMicroseconds).toBeGreaterThan(0);
      expect(bytes).toBeGreaterThan(0);
    }
    // The largest is first, and some hundred kilobytes.
    const [{measured}] = rows.filter(({kernel}) => kernel === 'Tile');
    expect(measured?.ours.im2win.overStock.median).toBeGreaterThan(0);
    expect(measured?.stockOverCopy?.median).toBeGreaterThan(0);
    expect(run1('--kernels', 'Mod', '--stock')).toMatch(/Mod .* of 2 /);
    expect(() => run1('--kernels', 'Conv2D')).toThrow("--kernels: 'Conv2D' is none of Abs, Add,");
  });

  test('names what runs it', () => {
    const node = {node: '24.3.0', v8: '13.6'};
    expect(describeEngine(node)).toBe('Node 24.3.0, V8 13.6');
    expect(describeEngine({...node, bun: '1.4.5', webkit: 'abc'})).toBe('Bun 1.4.5');
    expect(describeEngine({...node, deno: '2.9.6'})).toBe('Deno 2.9.6, V8 13.6');
  });

  test('says what is wrong with its options', () => {
    expect(() => run('bench/main.ts', '--threads', '1', '--layers', layers, '--contenders', 'fft')).toThrow(
      '--contenders: fft is none; allowed: stock, im2win, winograd, auto, im2col, direct.',
    );
    expect(() => run('bench/main.ts', '--threads', '1,0')).toThrow(
      'They must be whole numbers from 1 to 16.',
    );
    expect(() => run('bench/main.ts', '--reps', '0')).toThrow('It must be a whole number of at least 1.');
    expect(() => run('bench/main.ts', '--layers', path.join(folder, 'none.json'))).toThrow('no such file');
    const other = path.join(folder, 'other.json');
    writeFileSync(other, JSON.stringify([null, {...call, kernel: 'MaxPool'}]));
    expect(() => run('bench/main.ts', '--layers', other)).toThrow(
      'holds no call of Conv2D, FusedConv2D, Depthwise',
    );
  });
});

describe('a layer', () => {
  const layer = {
    name: 'small',
    kernelName: 'Conv2D',
    xShape: [1, 4, 4, 2],
    filterShape: [1, 1, 2, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pad: 'valid',
    activation: 'linear',
    bias: false,
  } as const;
  const contender = (name: string, spoil: (values: Float32Array) => void): Contender => ({
    name,
    start: async () => {},
    run: (_, {x, filter}) => {
      const values = tf.conv2d(x, filter, 1, 'valid').dataSync<'float32'>().slice();
      spoil(values);
      return {dataSync: () => values, dispose: () => {}};
    },
  });
  const good = contender('stock', () => {});
  const measure = (...contenders: Contender[]) => measureLayer(layer, contenders, 2, () => {});

  beforeAll(() => tf.setBackend('cpu'));

  test.each([1e-3, Number.NaN])('is not timed if an output is off by %p', async (error) => {
    const bad = contender('bad', (values) => {
      values[5] += error;
    });
    await expect(measure(good, bad)).rejects.toThrow('small: bad and stock differ by');
    await expect(measure(bad, good)).rejects.toThrow('differ by');
  });

  test('leaves out a contender that cannot run it, and fails with one that breaks', async () => {
    const failing = (error: Error): Contender => ({
      ...good,
      name: 'failing',
      start: () => Promise.reject(error),
    });
    const {rows, skipped} = await measure(good, failing(new CannotRun('not my kind')));
    expect(rows.map((row) => row.contender)).toEqual(['stock']);
    expect(skipped).toEqual([{layer: 'small', contender: 'failing', error: 'not my kind'}]);
    await expect(measure(good, failing(new Error('broken')))).rejects.toThrow('broken');
  });
});
