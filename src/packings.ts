/** What a packed filter is kept as: an allocation, or an array. */
interface Packed {
  readonly bytes: number;
}

interface Entry<T extends Packed> {
  readonly packed: T;
  lastUse: number;
}

/**
 * The packings of one filter. Together they stay within a bound, which the first may pass alone. Without a
 * bound, a filter that is used at many input sizes would keep one packing for each kind of plan.
 *
 * A packing that finds no room is made anew at each use. When it is wanted again, it takes the place of those
 * that were not used in between. So input sizes that an app uses in turn keep what they have, and sizes that
 * it no longer uses give way.
 */
export class Packings<T extends Packed> {
  private readonly kept = new Map<string, Entry<T>>();
  /** When a packing without room was last wanted. */
  private readonly wanted = new Map<string, number>();
  private uses = 0;

  get bytes(): number {
    let bytes = 0;
    for (const {packed} of this.kept.values()) bytes += packed.bytes;
    return bytes;
  }

  get(packing: string): T | undefined {
    const entry = this.kept.get(packing);
    if (entry !== undefined) entry.lastUse = ++this.uses;
    return entry?.packed;
  }

  /**
   * Whether a further packing may be kept, within `bound` bytes in all. What gives way to it is handed to `drop`.
   */
  makeRoom(packing: string, bytes: number, bound: number, drop?: (packed: T) => void): boolean {
    const since = this.wanted.get(packing) ?? 0;
    this.wanted.set(packing, ++this.uses);
    let total = this.bytes;
    const stale: string[] = [];
    for (const [name, {packed, lastUse}] of this.kept) {
      if (total + bytes <= bound || since === 0) break;
      if (lastUse > since) continue;
      stale.push(name);
      total -= packed.bytes;
    }
    if (total > 0 && total + bytes > bound) return false;
    for (const name of stale) {
      drop?.((this.kept.get(name) as Entry<T>).packed);
      this.kept.delete(name);
    }
    this.wanted.delete(packing);
    return true;
  }

  keep(packing: string, packed: T): void {
    this.kept.set(packing, {packed, lastUse: ++this.uses});
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const {packed} of this.kept.values()) yield packed;
  }
}
