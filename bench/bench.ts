// One run of the benchmark: layers times contenders.
import {createRequire} from 'node:module';
import os from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import type {Contender} from './contender.ts';
import type {Layer} from './layer.ts';
import {measureLayer, type Row, type Skipped} from './measure.ts';
import {measurePeaks, type Peaks} from './peaks.ts';
import {progressBar} from './progress.ts';

export interface BenchResult {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    /** What runs JavaScript, with its version. */
    readonly engine: string;
    readonly tfjs: string;
    readonly date: string;
  };
  readonly backend: string;
  readonly simd: string;
  readonly repetitions: number;
  readonly peaks: Peaks;
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
}

export interface BenchRun {
  readonly backend: string;
  readonly simd: string;
  readonly layers: readonly Layer[];
  readonly contenders: readonly Contender[];
  readonly repetitions: number;
  /** The most threads of a contender. */
  readonly numThreads: number;
}

/** @throws Error if two contenders' outputs differ by more than rounding. */
export async function runBench({
  backend,
  simd,
  layers,
  contenders,
  repetitions,
  numThreads,
}: BenchRun): Promise<BenchResult> {
  await loadBackend(backend, numThreads);
  const peaks = measurePeaks();
  const rows: Row[] = [];
  const skipped: Skipped[] = [];
  const bar = progressBar('{layer}');
  bar.start(layers.length * repetitions, 0, {layer: ''});
  try {
    for (const layer of layers) {
      const measured = await measureLayer(layer, contenders, repetitions, () =>
        bar.increment({layer: layer.name}),
      );
      rows.push(...measured.rows);
      skipped.push(...measured.skipped);
    }
  } finally {
    bar.stop();
  }
  return {machine: describeMachine(), backend, simd, repetitions, peaks, rows, skipped};
}

async function loadBackend(backend: string, numThreads: number): Promise<void> {
  const name = `@tensorflow/tfjs-backend-${backend}`;
  try {
    await import(name);
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(name)) throw error;
    throw new Error(
      `--backend ${backend} needs ${name}, which is not installed beside tfjs-im2win: npm install ${name}\n` +
        `Or, without a project: npx -p tfjs-im2win -p ${name} tfjs-im2win bench`,
    );
  }
  await startBackend(backend, numThreads);
}

/** Starts a backend; wasm's heap is one that so many threads can share. */
export async function startBackend(backend: string, numThreads: number): Promise<void> {
  const registration =
    backend === 'wasm' ? await registerIm2win({backends: [backend], numThreads}) : undefined;
  await tf.setBackend(backend);
  registration?.unregister();
}

export function describeMachine(): BenchResult['machine'] {
  const require = createRequire(import.meta.url);
  return {
    cpu: os.cpus()[0].model,
    cores: os.cpus().length,
    engine: describeEngine(process.versions),
    tfjs: require('@tensorflow/tfjs-core/package.json').version,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Bun and Deno also name the version of Node that they stand in for. */
export function describeEngine({bun, deno, node, v8}: NodeJS.Dict<string>): string {
  if (bun !== undefined) return `Bun ${bun}`;
  return `${deno === undefined ? `Node ${node}` : `Deno ${deno}`}, V8 ${v8}`;
}
