import type fc from 'fast-check';

/** One kind of case, and one way to compute it. */
export interface FuzzRow<Case> {
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  start(): Promise<void>;
  /** @throws Error that says what is wrong with the result. */
  run(one: Case): Promise<void>;
  stop(): Promise<void>;
}
