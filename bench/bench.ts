// One run of the benchmark: layers times contenders.
import {createRequire} from 'node:module';
import os from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import type {Contender} from './contender.ts';
import type {Layer} from './layer.ts';
import {measureLayer, type Row, type Skipped} from './measure.ts';
import {measurePeaks, type Peaks} from './peaks.ts';
import {progressBar} from './progress.ts';

export interface BenchResult {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly v8: string;
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
}

/** @throws Error if two contenders' outputs differ by more than rounding. */
export async function runBench({
  backend,
  simd,
  layers,
  contenders,
  repetitions,
}: BenchRun): Promise<BenchResult> {
  await loadBackend(backend);
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

async function loadBackend(backend: string): Promise<void> {
  if (backend === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
  else await import('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend(backend);
}

export function describeMachine(): BenchResult['machine'] {
  const require = createRequire(import.meta.url);
  return {
    cpu: os.cpus()[0].model,
    cores: os.cpus().length,
    node: process.versions.node,
    v8: process.versions.v8,
    tfjs: require('@tensorflow/tfjs-core/package.json').version,
    date: new Date().toISOString().slice(0, 10),
  };
}
