// What the timed calls say of each kernel.
import Table from 'cli-table3';
import type {AroundRow} from './aroundMeasure.ts';
import type {Recording} from './recording.ts';
import {geometricMean} from './statistics.ts';

/** From here on tensors lie beyond the caches, and a copy's bandwidth is the memory's. */
export const BEYOND_CACHES = 4 * 2 ** 20;

export interface KernelSummary {
  readonly kernel: string;
  /** Distinct calls: all, and those that were measured. */
  readonly calls: number;
  readonly measured: number;
  /** Of the networks' time by stock: the mean over all networks, and the most. Missing where not all kernels were timed. */
  readonly share?: {readonly mean: number; readonly most: number; readonly network: string};
  /** Stock's time over a copy's, geometric mean: of all that were measured, and of those beyond the caches. */
  readonly stockOverCopy?: number;
  readonly stockOverCopyBeyond?: number;
  readonly ours: Readonly<Record<string, OursSummary>>;
}

export interface OursSummary {
  /** Of the measured calls, those that the library takes. */
  readonly taken: number;
  /** How many times as fast as stock: geometric mean, and least. */
  readonly overStock: number;
  readonly least: number;
  /** Of a copy's bandwidth, beyond the caches: geometric mean. */
  readonly ofCopy?: number;
}

/** @param shares Missing where not all kernels were timed. */
export function summarize(rows: readonly AroundRow[], shares?: Recording['shares']): KernelSummary[] {
  const ofNetworks = shares && sharesOfNetworks(rows, shares);
  const kernels = [...new Set(rows.map(({kernel}) => kernel))];
  return kernels
    .map((kernel) => {
      const own = rows.filter((row) => row.kernel === kernel);
      const measured = own.flatMap(({measured: of, bytes}) => (of === undefined ? [] : [{...of, bytes}]));
      const beyond = measured.filter(({bytes}) => bytes > BEYOND_CACHES);
      return {
        kernel,
        calls: own.length,
        measured: measured.length,
        share: ofNetworks && shareOf(kernel, ofNetworks),
        stockOverCopy: overCopy(measured),
        stockOverCopyBeyond: overCopy(beyond),
        ours: summarizeOurs(measured),
      };
    })
    .sort((a, b) => (b.share?.mean ?? 0) - (a.share?.mean ?? 0));
}

type Measured = NonNullable<AroundRow['measured']> & {readonly bytes: number};

function overCopy(measured: readonly Measured[]): number | undefined {
  return meanOf(measured.flatMap(({stockOverCopy}) => stockOverCopy?.median ?? []));
}

function summarizeOurs(measured: readonly Measured[]): Record<string, OursSummary> {
  const names = [...new Set(measured.flatMap(({ours}) => Object.keys(ours)))];
  return Object.fromEntries(
    names.map((name) => {
      const taken = measured.flatMap(({ours, bytes}) =>
        ours[name] === undefined ? [] : [{...ours[name], bytes}],
      );
      const overStock = taken.map((one) => one.overStock.median);
      const beyond = taken.filter(({bytes}) => bytes > BEYOND_CACHES);
      return [
        name,
        {
          taken: taken.length,
          overStock: geometricMean(overStock),
          least: Math.min(...overStock),
          ofCopy: meanOf(beyond.flatMap(({ofCopy}) => ofCopy?.median ?? [])),
        },
      ];
    }),
  );
}

function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : geometricMean(values);
}

/** Each kernel's part of each network's time. */
type NetworkShares = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The part of a network that is no convolution, shared out by what its calls take. */
function sharesOfNetworks(rows: readonly AroundRow[], shares: Recording['shares']): NetworkShares {
  return new Map(
    Object.entries(shares).map(([network, around]) => {
      const times = new Map<string, number>();
      let total = 0;
      for (const {kernel, networks, stockMicroseconds} of rows) {
        const time = (networks[network] ?? 0) * stockMicroseconds;
        times.set(kernel, (times.get(kernel) ?? 0) + time);
        total += time;
      }
      return [
        network,
        new Map([...times].map(([kernel, time]) => [kernel, total > 0 ? (around * time) / total : 0])),
      ];
    }),
  );
}

function shareOf(kernel: string, networks: NetworkShares): KernelSummary['share'] {
  let sum = 0;
  let most = {most: 0, network: ''};
  for (const [network, kernels] of networks) {
    const share = kernels.get(kernel) ?? 0;
    sum += share;
    if (share > most.most) most = {most: share, network};
  }
  return {mean: sum / networks.size, ...most};
}

/** @param names What the library ran on. */
export function printSummary(
  summaries: readonly KernelSummary[],
  names: readonly string[],
  over: number,
): string {
  const table = new Table({
    head: [
      'kernel',
      `calls over ${over} µs`,
      'of networks',
      'most',
      'in',
      'stock / copy',
      `over ${BEYOND_CACHES / 2 ** 20} MiB`,
      ...names.flatMap((name) => [name, '× stock', 'least', 'of a copy']),
    ],
    colAligns: ['left', 'right', 'right', 'right', 'left', ...Array(2 + 4 * names.length).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  const percent = (share: number | undefined) => (share === undefined ? '' : `${(100 * share).toFixed(1)} %`);
  for (const {kernel, calls, measured, share, ours, ...summary} of summaries) {
    table.push([
      kernel,
      `${measured} of ${calls}`,
      percent(share?.mean),
      percent(share?.most),
      share?.network ?? '',
      summary.stockOverCopy?.toFixed(2) ?? '',
      summary.stockOverCopyBeyond?.toFixed(2) ?? '',
      ...names.flatMap((name) => {
        const own = ours[name];
        if (own === undefined) return ['', '', '', ''];
        const ofCopy = own.ofCopy === undefined ? '' : percent(own.ofCopy);
        return [`${own.taken} taken`, own.overStock.toFixed(2), own.least.toFixed(2), ofCopy];
      }),
    ]);
  }
  return table.toString();
}
