// The benchmark's result as aligned text.
import Table from 'cli-table3';
import type {BenchResult} from './bench.ts';
import type {Row} from './measure.ts';
import {geometricMean} from './statistics.ts';

/** @param over Milliseconds that a layer must take the stock kernel to count in the summary. */
export function printResult({rows, skipped, peaks, machine}: BenchResult, over = 0): string {
  const table = new Table({
    head: [
      'layer',
      'contender',
      'ms',
      'GFLOP/s',
      'of FMA',
      'of mul+add',
      '× stock',
      '95 %',
      'workspace',
      'filter',
      'first ms',
      'repack ms',
      'difference',
    ],
    colAligns: ['left', 'left', ...Array(11).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  let layer = '';
  for (const row of rows) {
    table.push([row.layer === layer ? '' : row.layer, ...cells(row, peaks)]);
    layer = row.layer;
  }
  const lines = [
    table.toString(),
    ...summary(rows, over),
    `peaks: ${peaks.fma?.toFixed(1) ?? '–'} GFLOP/s fused, ${peaks.mulAdd.toFixed(1)} multiply and add`,
    ...(rows.some(({gflops}) => gflops > (peaks.fma ?? peaks.mulAdd))
      ? ["GFLOP/s count the definition's multiplications: Winograd makes fewer, and may pass the peak"]
      : []),
    `${machine.cpu}, ${machine.engine}, tfjs ${machine.tfjs}, ${machine.date}`,
    ...(rows.some(({contender, ownBytes}) => contender === 'stock' && ownBytes)
      ? ["stock's bytes: 2 × filter and a pointer for each tap of each output pixel, by its source"]
      : []),
    ...skipped
      .slice(0, 10)
      .map(({layer: name, contender, error}) => `not measured: ${contender} on ${name}: ${error}`),
    ...(skipped.length > 10 ? [`… and ${skipped.length - 10} more not measured`] : []),
  ];
  return lines.join('\n');
}

function cells(row: Row, peaks: BenchResult['peaks']): string[] {
  const share = (peak: number | undefined) =>
    peak === undefined ? '–' : `${((100 * row.gflops) / peak).toFixed(0)} %`;
  return [
    row.route === row.contender ? row.contender : `${row.contender} (${row.route})`,
    row.milliseconds.median.toFixed(3),
    row.gflops.toFixed(1),
    share(peaks.fma),
    share(peaks.mulAdd),
    row.speedup?.median.toFixed(2) ?? '',
    row.speedup ? `${row.speedup.low.toFixed(2)}–${row.speedup.high.toFixed(2)}` : '',
    kibibytes(row.ownBytes?.workspace),
    kibibytes(row.ownBytes?.filter),
    row.firstMilliseconds.toFixed(2),
    row.repackMilliseconds?.toFixed(2) ?? '',
    row.difference.toExponential(0),
  ];
}

const kibibytes = (bytes: number | undefined) =>
  bytes === undefined ? '–' : `${Math.round(bytes / 1024)} KiB`;

// Fewer layers than this can be read one by one.
const GROUPED = 40;

/**
 * A line for each contender: geometric mean and extremes against stock. Where there are many layers, also a
 * line for each kind.
 *
 * @param over Milliseconds that a layer must take the stock kernel to count.
 */
export function summary(rows: readonly Row[], over = 0): string[] {
  const names = [...new Set(rows.map(({contender}) => contender))].filter((name) => name !== 'stock');
  const counted = rows.filter(
    ({speedup, milliseconds}) => speedup && speedup.median * milliseconds.median >= over,
  );
  return names.flatMap((name) => {
    const own = counted.filter(({contender}) => contender === name);
    const kinds = own.length < GROUPED ? [] : [...new Set(own.map(({kind}) => kind))];
    return [
      ...line(name, own),
      ...kinds.flatMap((kind) =>
        line(
          `  ${kind}`,
          own.filter((row) => row.kind === kind),
        ),
      ),
    ];
  });
}

function line(name: string, rows: readonly Row[]): string[] {
  const speedups = rows.flatMap(({speedup}) => (speedup ? [speedup] : []));
  if (speedups.length === 0) return [];
  const medians = speedups.map(({median}) => median);
  const slower = speedups.filter(({high}) => high < 0.97).length;
  return [
    `${name.padEnd(16)}geometric mean ${geometricMean(medians).toFixed(2)}× stock over ${medians.length} layers, ` +
      `slowest ${Math.min(...medians).toFixed(2)}×, fastest ${Math.max(...medians).toFixed(2)}×, ` +
      `${slower} whose interval lies below 0.97×`,
  ];
}
