import type {TensorInfo} from '@tensorflow/tfjs-core';

export type CallPart = string | number | boolean | null | undefined;

/**
 * What tells one call from another, part by part. It is an array that is used again: to make a string would
 * take longer than all else before the kernel.
 */
export class Signature {
  private readonly taken: CallPart[] = [];
  private count = 0;

  /** Forgets the call before. */
  begin(): void {
    this.count = 0;
  }

  add(part: CallPart): void {
    this.taken[this.count++] = part;
  }

  tensor(tensor: TensorInfo | null | undefined): void {
    this.add(tensor?.dtype);
    this.list(tensor?.shape);
  }

  list(values: readonly number[] | number | null | undefined): void {
    if (values == null || typeof values !== 'object') {
      // 2 and what follows it is not a list of two.
      this.add('one');
      this.add(values);
      return;
    }
    this.add(values.length);
    for (const value of values) this.add(value);
  }

  is(call: readonly CallPart[]): boolean {
    if (call.length !== this.count) return false;
    for (let i = 0; i < call.length; ++i) {
      if (call[i] !== this.taken[i]) return false;
    }
    return true;
  }

  parts(): CallPart[] {
    return this.taken.slice(0, this.count);
  }
}
