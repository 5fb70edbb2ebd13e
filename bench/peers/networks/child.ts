// One contender on one network, in a process of its own. Its arguments are the contender, as JSON, and the folder that
// the network was written into.
import path from 'node:path';
import {peakBytes} from '../../peakMemory.ts';
import {relativeDifference} from '../../statistics.ts';
import {takeTurn, warmUpLong} from '../../turn.ts';
import type {Contender, Question, Started} from './contenders.ts';
import type {Model, StartEngine} from './engine.ts';
import {FILES, readFloats} from './files.ts';

// Workers are there some ten milliseconds after the first call that wants them.
const WORKERS_START_MS = 150;
const PROFILED_RUNS = 5;

const [, , description, folder] = process.argv;
const contender: Contender = JSON.parse(description);

/** A process has one engine's code in it. */
async function engineOf(engine: Contender['engine']): Promise<StartEngine> {
  switch (engine) {
    case 'onnxruntime-web':
    case 'onnxruntime-node':
      return (await import('./onnx.ts')).startOnnx;
    case 'litert':
      return (await import('./litert.ts')).startLiteRt;
    default:
      return (await import('./tfjs.ts')).startTfjs;
  }
}

async function start(): Promise<{model: Model; started: Started}> {
  const begin = performance.now();
  const engine = await (await engineOf(contender.engine))(contender);
  const ready = performance.now();
  const model = await engine.load(folder);
  const loaded = performance.now();
  const output = await model.run();
  const done = performance.now();
  const peak = peakBytes();
  const expected = readFloats(path.join(folder, FILES.output));
  const started = {
    version: engine.version,
    startMs: ready - begin,
    loadMs: loaded - ready,
    firstMs: done - loaded,
    peakBytes: peak,
    // One that is too short is NaN.
    difference: output.length === expected.length ? relativeDifference([expected], [output]) : Number.NaN,
  };
  return {model, started};
}

async function answer(question: Question, {run}: Model): Promise<object> {
  if (typeof question === 'object') {
    await new Promise((resolve) => setTimeout(resolve, WORKERS_START_MS));
    await warmUpLong(run, question.warmMs);
    return {};
  }
  switch (question) {
    case 'run': {
      const ran = await takeTurn(run, lastMs);
      lastMs = ran.medianMs;
      return ran;
    }
    case 'kernels': {
      const {profileKernels} = await import('./tfjs.ts');
      const runs = [];
      for (let i = 0; i < PROFILED_RUNS; ++i) runs.push(await profileKernels({run}));
      const total = (kernels: Record<string, number>) => Object.values(kernels).reduce((a, b) => a + b, 0);
      return runs.sort((a, b) => total(a) - total(b))[PROFILED_RUNS >> 1];
    }
  }
}

let lastMs = 0;
const failure = (error: unknown) => ({failure: error instanceof Error ? error.message : String(error)});
process.on('disconnect', () => process.exit());
try {
  const {model, started} = await start();
  process.on('message', async (question: Question) => {
    process.send?.(await answer(question, model).catch(failure));
  });
  process.send?.(started);
} catch (error) {
  process.send?.(failure(error), () => process.exit());
}
