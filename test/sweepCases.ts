// Calls of kernels around a convolution, each by both flavours: all tasks in turn, and in any order.
import type {AroundRecord} from '../src/around.ts';
import type {Flavour} from '../src/index.ts';
import type {ServedBackend} from '../src/served.ts';
import {type AroundCase, expectedOf, type Outcome, run, ShuffledTasks, serveAll} from './aroundCases.ts';
import {freshWasm, tf} from './tf.ts';

export interface Sweep {
  /** By kernel. */
  readonly cases: Readonly<Record<string, readonly AroundCase[]>>;
  /** Why some of them may be left to tfjs. */
  readonly reasons: readonly string[];
  /** @throws Error if a call did not come to what tfjs's cpu backend makes of it. */
  compare(one: AroundCase, got: readonly Outcome[], expected: readonly Outcome[]): void;
}

/** Defines the tests. */
export function sweepCases({cases, reasons, compare}: Sweep): void {
  const known = new Map<string, Promise<Outcome[][]>>();
  const expectedOfAll = (kernelName: string) => {
    const expected = known.get(kernelName) ?? expectedOf(cases[kernelName]);
    known.set(kernelName, expected);
    return expected;
  };

  describe.each(['strict', 'relaxed'] as Flavour[])('%s', (simd) => {
    let served: ServedBackend;
    beforeAll(async () => {
      await freshWasm();
      served = await serveAll(simd);
    });
    afterAll(() => served.unregister());

    test.each(Object.entries(cases))('%s is as on the cpu backend', async (kernelName, own) => {
      const expected = await expectedOfAll(kernelName);
      await tf.setBackend('wasm');
      const before = tf.memory();
      const dataIds = (tf.backend() as tf.KernelBackend).numDataIds();
      // A call that was seen before takes the record that is kept of it.
      for (let pass = 0; pass < 2; ++pass) {
        own.forEach((one, i) => {
          compare(one, run(one), expected[i]);
        });
      }
      expect(tf.memory()).toEqual(before);
      expect((tf.backend() as tf.KernelBackend).numDataIds()).toBe(dataIds);
      const records = served
        .report(true)
        .filter((record) => record.kernelName === kernelName) as AroundRecord[];
      const stock = records.filter(({algorithm}) => algorithm === 'stock');
      for (const {reason} of stock) expect(reasons).toContain(reason);
      expect(records.length).toBeGreaterThan(2 * stock.length);
    });

    test.each(Object.entries(cases))('tasks of %s run in any order', async (kernelName, own) => {
      const expected = await expectedOfAll(kernelName);
      const tasks = await ShuffledTasks.create(simd);
      for (const [i, one] of own.entries()) {
        const got = tasks.run(one);
        if (got !== undefined) compare(one, got, expected[i]);
      }
    });
  });
}
