// The benchmark's result as one self-contained HTML page with charts.
import {BarChart, CustomChart} from 'echarts/charts';
import {GridComponent, LegendComponent, MarkLineComponent, TitleComponent} from 'echarts/components';
import * as echarts from 'echarts/core';
import {SVGRenderer} from 'echarts/renderers';
import type {BenchResult} from './bench.ts';
import {summary} from './table.ts';

echarts.use([
  BarChart,
  CustomChart,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
  SVGRenderer,
]);

const WIDTH = 1100;
// Charts of a corpus show its heaviest layers; the table has them all.
const MOST_LAYERS = 40;
const COLOURS: Record<string, string> = {
  stock: '#9aa5b1',
  im2win: '#1f77b4',
  winograd: '#17a589',
  auto: '#d62828',
  im2col: '#f4a261',
  direct: '#8e6bbf',
};

const ON_THREADS = '#7f1d1d';

export function htmlReport(result: BenchResult): string {
  const {machine, rows, peaks} = result;
  const layers = heaviest(rows);
  const contenders = contendersOf(rows);
  const of = finder(rows);
  const charts = [
    barChart(
      'Speed, GFLOP/s of direct convolution',
      layers,
      contenders,
      (contender, layer) => of(contender, layer)?.gflops,
      [
        ...(peaks.fma !== undefined && Math.abs(peaks.fma / peaks.mulAdd - 1) > 0.05
          ? [
              {name: 'fused peak', value: peaks.fma},
              {name: 'multiply + add peak', value: peaks.mulAdd},
            ]
          : [{name: 'peak', value: peaks.fma ?? peaks.mulAdd}]),
      ],
    ),
    ...(rows.some(({speedup}) => speedup) ? [speedupChart(rows)] : []),
    barChart(
      'Bytes beside the tensors, MiB',
      layers,
      contenders,
      (contender, layer) => {
        const row = of(contender, layer);
        return row?.ownBytes && (row.ownBytes.workspace + row.ownBytes.filter) / 2 ** 20;
      },
      [],
    ),
  ];
  const head = [
    'layer',
    'contender',
    'route',
    'ms',
    'GFLOP/s',
    'of FMA',
    'of mul + add',
    '× stock',
    '95 %',
    'workspace',
    'packed filter',
    'first ms',
    'repack ms',
  ];
  const body = rows.map((row) => [
    row.layer,
    row.contender,
    row.route,
    row.milliseconds.median.toFixed(3),
    row.gflops.toFixed(1),
    share(row.gflops, peaks.fma),
    share(row.gflops, peaks.mulAdd),
    row.speedup?.median.toFixed(2) ?? '',
    row.speedup ? `${row.speedup.low.toFixed(2)} – ${row.speedup.high.toFixed(2)}` : '',
    row.ownBytes?.workspace.toLocaleString('en') ?? '',
    row.ownBytes?.filter.toLocaleString('en') ?? '',
    row.firstMilliseconds.toFixed(2),
    row.repackMilliseconds?.toFixed(2) ?? '',
  ]);
  const tableRow = (tag: string, values: string[]) =>
    `<tr>${values.map((value) => `<${tag}>${escapeHtml(value)}</${tag}>`).join('')}</tr>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tfjs-im2win benchmark</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: ${WIDTH}px; margin: 2rem auto; padding: 0 1rem; }
  svg { max-width: 100%; height: auto; display: block; margin: 1.5rem 0; }
  table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
  th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
  th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
  div { overflow-x: auto; }
</style>
<h1>tfjs-im2win benchmark</h1>
<p>${escapeHtml(`${machine.cpu}, ${machine.cores} cores; ${machine.engine}; tfjs ${machine.tfjs}; ${machine.date}. One thread, ${result.simd} SIMD, medians of ${result.repetitions} interleaved repetitions.`)}</p>
<ul>${summary(rows)
    .map((line) => `<li>${escapeHtml(line)}</li>`)
    .join('')}</ul>
${charts.join('\n')}
<div><table><thead>${tableRow('th', head)}</thead><tbody>${body.map((values) => tableRow('td', values)).join('\n')}</tbody></table></div>
</html>
`;
}

/** How many times as fast as stock the others are, as an SVG. */
export function speedupChart(rows: BenchResult['rows']): string {
  const of = finder(rows);
  return barChart(
    'Times as fast as stock',
    heaviest(rows),
    contendersOf(rows).filter((name) => name !== 'stock'),
    (contender, layer) => of(contender, layer)?.speedup?.median,
    [{name: 'stock', value: 1}],
  );
}

function contendersOf(rows: BenchResult['rows']): string[] {
  return [...new Set(rows.map(({contender}) => contender))];
}

function finder(rows: BenchResult['rows']) {
  return (contender: string, layer: string) =>
    rows.find((row) => row.contender === contender && row.layer === layer);
}

/** The layers that take longest, at most MOST_LAYERS, in their own order. */
function heaviest(rows: BenchResult['rows']): string[] {
  const longest = new Map<string, number>();
  for (const {layer, milliseconds} of rows) {
    longest.set(layer, Math.max(longest.get(layer) ?? 0, milliseconds.median));
  }
  const byTime = [...longest].sort(([, a], [, b]) => b - a).map(([layer]) => layer);
  const kept = new Set(byTime.slice(0, MOST_LAYERS));
  return [...longest.keys()].filter((layer) => kept.has(layer));
}

interface Line {
  readonly name: string;
  readonly value: number;
}

function barChart(
  title: string,
  layers: readonly string[],
  contenders: readonly string[],
  value: (contender: string, layer: string) => number | undefined,
  lines: readonly Line[],
): string {
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: 134 + layers.length * (8 + 12 * contenders.length),
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {text: title, left: 0},
    legend: {top: 34, left: 0},
    grid: {left: 190, right: 90, top: 84, bottom: 30},
    xAxis: {type: 'value'},
    yAxis: {type: 'category', data: [...layers], inverse: true},
    series: contenders.map((name, i) => ({
      name,
      type: 'bar',
      itemStyle: {color: name.startsWith('auto ×') ? ON_THREADS : COLOURS[name]},
      data: layers.map((layer) => round(value(name, layer))),
      label: {show: true, position: 'right', fontSize: 10},
      ...(i === 0 && lines.length > 0
        ? {
            markLine: {
              symbol: 'none',
              silent: true,
              label: {formatter: '{b}', position: 'start'},
              data: lines.map((line) => ({name: line.name, xAxis: line.value})),
            },
          }
        : {}),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const share = (gflops: number, peak: number | undefined) =>
  peak === undefined ? '' : `${((100 * gflops) / peak).toFixed(0)} %`;

const round = (value: number | undefined) => (value === undefined ? null : Number(value.toPrecision(3)));

function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
