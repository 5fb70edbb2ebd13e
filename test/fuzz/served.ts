// Rows of calls that are compared with tfjs's cpu backend, nothing being left to tfjs before a route is found.
import type fc from 'fast-check';
import type {Flavour} from '../../src/index.ts';
import type {ServedBackend} from '../../src/served.ts';
import {type AroundCase, expectedOf, type Outcome, run, serveAll} from '../aroundCases.ts';
import {freshWasm, tf} from '../tf.ts';
import type {FuzzRow} from './row.ts';

/** @param name Of the row, which has the flavour behind it. */
export function servedRow<Case>(
  name: string,
  simd: Flavour,
  cases: fc.Arbitrary<Case>,
  run: (one: Case) => Promise<void>,
): FuzzRow<Case> {
  let served: ServedBackend | undefined;
  return {
    name: `${name}-${simd}`,
    cases,
    async start() {
      await freshWasm();
      served = await serveAll(simd);
    },
    run,
    async stop() {
      served?.unregister();
    },
  };
}

/** @param compare Throws an Error if a call did not come to what tfjs's cpu backend makes of it. */
export function aroundRow(
  name: string,
  simd: Flavour,
  cases: fc.Arbitrary<AroundCase>,
  compare: (one: AroundCase, got: readonly Outcome[], expected: readonly Outcome[]) => void,
): FuzzRow<AroundCase> {
  return servedRow(name, simd, cases, async (one) => {
    const [expected] = await expectedOf([one]);
    await tf.setBackend('wasm');
    compare(one, run(one), expected);
  });
}
