import type {Im2winBackend} from './backend.ts';
import {namingOp} from './describe.ts';
import type {Call, CallContext, Family, Kernel, Route} from './family.ts';
import {type CallPart, Signature} from './signature.ts';

/** One distinct call that was seen, and what became of it. */
export interface KernelRecord {
  /** As tfjs names it. */
  readonly kernelName: string;
  readonly backend: Im2winBackend;
  /** `'stock'` is tfjs's own kernel. */
  readonly algorithm: string;
  /** Why the stock kernel was used; missing where it was not. */
  readonly reason?: string;
  /** Why one thread computes it where more could; missing where that is not so. */
  readonly whyOneThread?: string;
  readonly calls: number;
}

/** One distinct call: what it is known by, and what is known of it. */
interface Seen {
  readonly call: readonly CallPart[];
  readonly route: Route;
  readonly record: KernelRecord & {calls: number};
  /** The calls that came next lately. One is not enough: a network repeats a block some times, then leaves it. */
  next: readonly Seen[];
  forgotten?: true;
}

/** How many calls that came next are kept: with six of them none was looked up in networks that were tried. */
const FOLLOWERS = 6;

/**
 * The distinct calls seen so far, each planned once. Bounded: beyond `limit` of them, the one first seen is
 * forgotten. A network makes its calls in the same order each time, so each is first compared with those that
 * followed the last times; only where that fails is it looked up.
 */
export class Routes {
  private readonly seen = new Map<string, Seen>();
  private readonly signature = new Signature();
  private last: Seen | undefined;
  private readonly backend: Im2winBackend;
  private readonly onForgotten: (route: Route) => void;
  private readonly limit: number;

  constructor(backend: Im2winBackend, onForgotten: (route: Route) => void = () => {}, limit = 1000) {
    this.backend = backend;
    this.onForgotten = onForgotten;
    this.limit = limit;
  }

  /**
   * The route of a call, which is counted.
   *
   * @throws Error if it is not a call that the kernel can have.
   */
  find<K extends Kernel, C extends Call, R extends Route>(
    family: Family<K, C, R>,
    kernel: K,
    call: C,
    context: CallContext,
  ): R {
    const {signature} = this;
    signature.begin();
    signature.add(kernel.name);
    signature.add(context.algorithm);
    signature.add(context.winograd);
    signature.add(context.maxPackedFilterBytes);
    signature.add(context.unavailable);
    family.sign(signature, call, kernel);
    const next = this.last?.next ?? [];
    let found: Seen | undefined;
    for (const seen of next) {
      if (seen.forgotten === undefined && signature.is(seen.call)) {
        found = seen;
        break;
      }
    }
    if (found === undefined) {
      found = this.lookUp(family, kernel, call, context);
      if (this.last !== undefined) this.last.next = [found, ...next.slice(0, FOLLOWERS - 1)];
    }
    this.last = found;
    ++found.record.calls;
    // A signature begins with the kernel, which is one family's.
    return found.route as R;
  }

  private lookUp<K extends Kernel, C extends Call, R extends Route>(
    family: Family<K, C, R>,
    kernel: K,
    call: C,
    context: CallContext,
  ): Seen {
    const parts = this.signature.parts();
    const key = parts.join('|');
    const known = this.seen.get(key);
    if (known !== undefined) return known;
    const route = namingOp(`im2win: ${kernel.op}`, () => family.plan(kernel, call, context));
    if (this.seen.size >= this.limit) {
      const [[oldest, forgotten]] = this.seen;
      forgotten.forgotten = true;
      forgotten.next = []; // Or a forgotten call would keep the next one in memory.
      this.seen.delete(oldest);
      this.onForgotten(forgotten.route);
    }
    const {plan, reason} = route;
    const record = {
      kernelName: kernel.name,
      backend: this.backend,
      ...family.record(call, route),
      ...(plan === undefined ? {algorithm: 'stock', reason} : {algorithm: plan.algorithm}),
      calls: 0,
    };
    const seen: Seen = {call: parts, route, record, next: []};
    this.seen.set(key, seen);
    return seen;
  }

  /** The records, in the order in which they were first seen. */
  report(): KernelRecord[] {
    const records = new Map<string, KernelRecord & {calls: number}>();
    for (const {record} of this.seen.values()) {
      // Routes that differ in what was asked for, but not in what was done, are one record.
      const key = JSON.stringify({...record, calls: 0});
      const known = records.get(key);
      if (known === undefined) records.set(key, {...record});
      else known.calls += record.calls;
    }
    return [...records.values()];
  }
}
