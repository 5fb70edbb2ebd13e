// A short run of `npm run test:threads`.
import '@tensorflow/tfjs-backend-wasm';
import {runJobs} from './threads/jobs.ts';

test('random jobs on up to four threads have the bits of one', async () => {
  const result = await runJobs({jobs: 600, seed: 1, numThreads: 4});
  expect(result).toMatchObject({jobs: 600});
  expect(result.failure).toBeUndefined();
  expect(result.threaded).toBeGreaterThan(300);
});
