// A short run of the fuzzer. A failure names its seed and path, and npm run fuzz
// takes them; it is also the long run.
import fc from 'fast-check';
import {ROWS} from './fuzz/rows.ts';

const seed = 20220919;
const numRuns = 150;

test.each(ROWS.map((row) => [row.name, row] as const))('%s', async (_, row) => {
  await row.start();
  try {
    await fc.assert(
      fc.asyncProperty(row.cases, (one) => row.run(one)),
      {seed, numRuns},
    );
  } finally {
    await row.stop();
  }
});
