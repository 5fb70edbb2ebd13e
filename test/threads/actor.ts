// A worker of the user's, with a tfjs of its own.
import {parentPort, workerData} from 'node:worker_threads';
import '@tensorflow/tfjs-backend-wasm';
import {type JobsOptions, runJobs} from './jobs.ts';

const options = workerData as JobsOptions;
const result = await runJobs({...options, onDone: (done) => parentPort?.postMessage({done})});
parentPort?.postMessage({result});
