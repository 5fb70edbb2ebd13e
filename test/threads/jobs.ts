// One thread's share: jobs on threads of its own, one after the other, with all that an app may do between them.
import '@tensorflow/tfjs-layers'; // Registers tfjs's own gradients.
import * as tf from '@tensorflow/tfjs-core';
import {type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {type Problem, pick, prepare, type Random, randomFrom, randomProblem} from './problems.ts';

export interface JobsOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly numThreads: number;
  /** Leaves im2win registered at the end. */
  readonly keepsThreads?: boolean;
  /** Called from time to time, with how many are done since. */
  onDone?(count: number): void;
}

export interface JobsResult {
  readonly jobs: number;
  /** Jobs for which several threads were asked, and how often something else was done between two. */
  readonly threaded: number;
  readonly sleeps: number;
  readonly growths: number;
  readonly registrations: number;
  readonly instances: number;
  readonly failure?: string;
}

/** Problems that are computed again and again, with what one thread computed of them. */
const KEPT = 100;
/** Each has a heap of its own. */
const MOST_INSTANCES = 12;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs jobs with a tfjs of this thread's own. */
export async function runJobs({
  jobs,
  seed,
  numThreads,
  keepsThreads = false,
  onDone,
}: JobsOptions): Promise<JobsResult> {
  const random = randomFrom(seed);
  const counts = {jobs: 0, threaded: 0, sleeps: 0, growths: 0, registrations: 1, instances: 1};
  const register = () => registerIm2win({numThreads, backends: ['wasm']});
  let registration = await register();
  await tf.setBackend('wasm');
  const {whyOneThread} = registration;
  if (numThreads > 1 && whyOneThread !== undefined) return {...counts, failure: whyOneThread};
  const kept: {problem: Problem; compute: () => Buffer; serial: Buffer}[] = [];
  const churn: tf.Tensor[] = [];
  let reported = 0;
  try {
    for (; counts.jobs < jobs; ++counts.jobs) {
      if (kept.length < KEPT || random() < 0.2) {
        registration.setNumThreads(1);
        const problem = randomProblem(random);
        const compute = prepare(problem);
        const at = kept.length < KEPT ? kept.length : Math.floor(random() * KEPT);
        kept[at] = {problem, compute, serial: compute()};
      }
      const {problem, compute, serial} = pick(random, kept);
      const threads = 1 + Math.floor(random() * numThreads);
      registration.setNumThreads(threads);
      if (threads > 1) ++counts.threaded;
      if (!compute().equals(serial)) {
        const failure = `job ${counts.jobs}, on ${threads} threads, has other bits than on one: ${JSON.stringify(problem)}`;
        return {...counts, failure};
      }
      const chance = random();
      if (chance < 0.03) {
        ++counts.sleeps;
        await sleep(3 * random());
      } else if (chance < 0.0303) {
        ++counts.growths;
        tf.zeros([Math.ceil(random() * 2 ** 23)]).dispose();
      } else if (chance < 0.0323) {
        ++counts.registrations;
        registration.unregister();
        registration = await register();
      } else if (chance < 0.0328 && counts.instances < MOST_INSTANCES) {
        ++counts.instances;
        tf.dispose(churn.splice(0));
        await startAnew();
      } else if (chance < 0.4) {
        exchangeTensor(churn, random);
      }
      if (counts.jobs % 100 === 99) {
        onDone?.(counts.jobs + 1 - reported);
        reported = counts.jobs + 1;
      }
    }
    const reason = whyNotThreaded(registration, numThreads);
    return reason === undefined ? counts : {...counts, failure: reason};
  } catch (error) {
    return {...counts, failure: `job ${counts.jobs}: ${(error as Error).stack}`};
  } finally {
    if (!keepsThreads) registration.unregister();
  }
}

/** Another instance of tfjs's backend, as it would start by itself. */
async function startAnew(): Promise<void> {
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  await tf.setBackend('wasm');
}

function exchangeTensor(churn: tf.Tensor[], random: Random): void {
  const at = Math.floor(random() * 40);
  churn[at]?.dispose();
  churn[at] = tf.fill([Math.ceil(random() * 20_000)], random());
}

function whyNotThreaded(registration: Im2winRegistration, numThreads: number): string | undefined {
  registration.setNumThreads(numThreads);
  const {whyOneThread} = registration;
  return whyOneThread && `at the end one thread is left: ${whyOneThread}`;
}
