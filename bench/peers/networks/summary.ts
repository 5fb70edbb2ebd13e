// Tables of what was measured.
import Table from 'cli-table3';
import {geometricMean, type Interval, medianInterval} from '../../statistics.ts';
import {FIGURES, type Figure} from '../../turn.ts';
import {OUR_LAYERS, OURS, STOCK, STOCK_LAYERS} from './contenders.ts';
import type {Measured, Row} from './measure.ts';

/** Aligned for a terminal, or Markdown. */
export type Layout = 'aligned' | 'markdown';

const MEBIBYTE = 2 ** 20;

/** The figures of one thread count, by what is compared of a turn. */
export class Summary {
  private readonly measured: readonly Measured[];
  private readonly figure: Figure;

  constructor(measured: readonly Measured[], figure: Figure) {
    this.measured = measured;
    this.figure = figure;
  }

  /** How many times as fast as stock's graph model, and milliseconds, of each contender on each network. */
  speeds(layout: Layout): string {
    const rows = this.contenders().map((contender) => {
      const speedups: number[] = [];
      const cells = this.networks().map((network) => {
        const found = this.find(network, contender);
        if (found === undefined) return '–';
        const {median} = this.timesAsFast(found.row, rowOf(found.measured, STOCK));
        speedups.push(median);
        return `${median.toFixed(2)} (${milliseconds(this.millisecondsOf(found.row))})`;
      });
      return [contender, ...cells, mean(speedups)];
    });
    return draw(['× stock (ms)', ...this.networks().map(short), 'geometric mean'], rows, layout);
  }

  /**
   * How many times as fast our graph model is as each other group, and our layers model as stock's: of each the fastest of
   * its settings.
   */
  leads(layout: Layout): string {
    const pairs: [string, string][] = [
      ...this.groups().flatMap((group): [string, string][] =>
        isOwn(group) || group === STOCK_LAYERS ? [] : [[OURS, group]],
      ),
      [OUR_LAYERS, STOCK_LAYERS],
    ];
    const rows = pairs.flatMap(([own, group]) => {
      const leads: number[] = [];
      const cells = this.networks().map((network) => {
        const found = this.fastest(network, group);
        const ours = found && this.fastest(network, own, found.measured);
        if (found === undefined || ours === undefined) return '–';
        const {median} = this.timesAsFast(ours.row, found.row);
        leads.push(median);
        return median.toFixed(2);
      });
      if (leads.length === 0) return [];
      return [[group, ...cells, mean(leads), Math.min(...leads).toFixed(2)]];
    });
    return draw(['im2win × it', ...this.networks().map(short), 'geometric mean', 'least'], rows, layout);
  }

  /** A process's first result: milliseconds until then, and the most memory that it held. */
  firstRuns(layout: Layout): string {
    const rows = this.contenders().map((contender) => [
      contender,
      ...this.networks().map((network) => {
        const found = this.find(network, contender);
        if (found === undefined) return '–';
        const {startMs, loadMs, firstMs, peakBytes} = found.row;
        return `${startMs.toFixed(0)} + ${loadMs.toFixed(0)} + ${firstMs.toFixed(0)} (${Math.round(peakBytes / MEBIBYTE)})`;
      }),
    ]);
    return draw(['engine + load + first run, ms (peak MiB)', ...this.networks().map(short)], rows, layout);
  }

  /** Of one network, with the spread of each figure. */
  details(network: string): string {
    const rows = this.contenders().flatMap((contender) => {
      const found = this.find(network, contender);
      if (found === undefined) return [];
      const {row, measured} = found;
      const toStock = this.timesAsFast(row, rowOf(measured, STOCK));
      const ours = this.fastest(network, OURS, measured) as Found;
      return [
        [
          contender,
          milliseconds(this.millisecondsOf(row)),
          milliseconds(Math.min(...row.turns.map(({fastestMs}) => fastestMs))),
          milliseconds(medianInterval(row.turns.map(({cpuMs}) => cpuMs)).median),
          ...withSpread(toStock),
          ...(isOwn(row.group) ? ['', ''] : withSpread(this.timesAsFast(ours.row, row))),
          row.difference.toExponential(0),
        ],
      ];
    });
    return draw(
      [network, 'ms', 'fastest', 'cpu', '× stock', '95 %', 'im2win × it', '95 %', 'difference'],
      rows,
      'aligned',
    );
  }

  private networks(): string[] {
    return [...new Set(this.measured.map(({network}) => network))];
  }

  private contenders(): string[] {
    return [...new Set(this.measured.flatMap(({rows}) => rows.map(({contender}) => contender)))];
  }

  private groups(): string[] {
    return [...new Set(this.measured.flatMap(({rows}) => rows.map(({group}) => group)))];
  }

  private find(network: string, contender: string): Found | undefined {
    return this.of(network).find(({row}) => row.contender === contender);
  }

  /** Of a group; within one measurement, if any is given. */
  private fastest(network: string, group: string, within?: Measured): Found | undefined {
    return this.of(network)
      .filter(({row, measured}) => row.group === group && (within === undefined || measured === within))
      .sort((a, b) => this.millisecondsOf(a.row) - this.millisecondsOf(b.row))[0];
  }

  private of(network: string): Found[] {
    return this.measured
      .filter((one) => one.network === network)
      .flatMap((measured) => measured.rows.map((row) => ({row, measured})));
  }

  private millisecondsOf({turns}: Row): number {
    const values = turns.map(FIGURES[this.figure]);
    return this.figure === 'fastest' ? Math.min(...values) : medianInterval(values).median;
  }

  /** By neighbouring rounds, unless only the fastest of all counts. */
  private timesAsFast(row: Row, other: Row): Interval {
    const figure = FIGURES[this.figure];
    if (this.figure === 'fastest') {
      const ratio = this.millisecondsOf(other) / this.millisecondsOf(row);
      return {median: ratio, low: ratio, high: ratio};
    }
    return medianInterval(row.turns.map((turn, round) => figure(other.turns[round]) / figure(turn)));
  }
}

interface Found {
  readonly row: Row;
  readonly measured: Measured;
}

const isOwn = (group: string) => group === OURS || group === OUR_LAYERS;

const rowOf = ({rows}: Measured, contender: string) => rows.find((row) => row.contender === contender) as Row;

/** Without the size of its input. */
const short = (network: string) => network.replace(/ \d+$/, '');

const milliseconds = (value: number) => value.toFixed(value < 100 ? 1 : 0);

const mean = (values: readonly number[]) => (values.length === 0 ? '–' : geometricMean(values).toFixed(2));

const withSpread = ({median, low, high}: Interval) => [
  median.toFixed(2),
  `${low.toFixed(2)}–${high.toFixed(2)}`,
];

function draw(head: readonly string[], rows: readonly string[][], layout: Layout): string {
  if (layout === 'markdown') {
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    return [line(head), `|---|${'--:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
  }
  const table = new Table({
    head: [...head],
    colAligns: ['left', ...Array(head.length - 1).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  table.push(...rows);
  return table.toString();
}
