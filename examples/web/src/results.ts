// The demo's figures, while they come in: what a run took, layer by layer, and what it needed.
import {type Interval, medianInterval} from '../../../bench/statistics.ts';
import {difference, median} from '../../super-resolution/statistics.ts';
import {showChanges} from './changes.ts';
import {barCell, byId, headerCell, make, mebibytes, milliseconds, ratioCell, small} from './dom.ts';
import type {Task} from './tasks.ts';
import {CONTENDERS, type ContenderName, type Each, type LayerTime, type Run} from './types.ts';

/** More layers than these are shown on demand. */
const LAYERS_SHOWN = 12;

export function hideResults(): void {
  byId('score').hidden = true;
  byId('results').hidden = true;
}

export class Results {
  private readonly task: Task;
  private readonly runs: Each<Run>[] = [];
  private largest = 0;
  private scale = 0;
  private allLayers = false;

  constructor(task: Task) {
    this.task = task;
    byId('all-layers').onclick = () => {
      this.allLayers = true;
      this.showLayers();
      // The button is gone, and the focus with it.
      byId('layer-table').focus();
    };
    byId('outcome').textContent = '';
  }

  /** @throws Error if the two outputs are not of one size. */
  add(run: Each<Run>): void {
    const {largest, scale} = difference(run.stock.values, run.im2win.values);
    this.largest = Math.max(this.largest, largest);
    this.scale = Math.max(this.scale, scale);
    this.runs.push({stock: withoutValues(run.stock), im2win: withoutValues(run.im2win)});
  }

  get speedup(): number {
    return this.total('stock') / this.total('im2win');
  }

  show(): void {
    byId('headline').textContent = `${this.speedup.toFixed(1)}× as fast`;
    byId('race-rows').replaceChildren(...this.raceRows());
    byId('agreement').textContent = this.agreement();
    byId('summary-rows').replaceChildren(...this.summaryRows());
    this.showLayers();
    const {stock, im2win} = this.runs[this.runs.length - 1];
    showChanges(im2win.optimized, {stock: stock.layers.length, im2win: im2win.layers.length});
    byId('score').hidden = false;
    byId('results').hidden = false;
  }

  /** Says that there will be no more runs. */
  cancelled(): void {
    const done = this.runs.length;
    if (done === 0) return;
    byId('outcome').textContent = `Cancelled: these figures are of ${done} of ${this.task.inputs.length}.`;
  }

  /** Says what came out, once all runs are there. */
  finish(): void {
    byId('outcome').textContent = this.task.outcome();
  }

  private showLayers(): void {
    byId('layer-rows').replaceChildren(...layerRows(this.steady(), this.allLayers));
    const convolutions = this.runs[0].im2win.layers.filter(isConvolution).length;
    byId('layers-left-out').hidden = this.allLayers || convolutions <= LAYERS_SHOWN;
  }

  private agreement(): string {
    const share = this.scale > 0 ? this.largest / this.scale : this.largest;
    const figure = `The outputs differ by at most ${small(share)} of the largest one`;
    return share <= this.task.bound
      ? `${figure}: rounding.`
      : `${figure}, more than rounding explains (${small(this.task.bound)}). Please report it.`;
  }

  private total(name: ContenderName): number {
    return this.runs.reduce((sum, run) => sum + run[name].milliseconds, 0);
  }

  /** Without the first run, in which code is compiled and filters are packed, once there are others. */
  private steady(): Each<Run>[] {
    return this.runs.length > 1 ? this.runs.slice(1) : this.runs;
  }

  private raceRows(): HTMLTableRowElement[] {
    const most = Math.max(this.total('stock'), this.total('im2win'));
    return CONTENDERS.map((name) =>
      make(
        'tr',
        {},
        headerCell(name),
        barCell(milliseconds(this.total(name)), this.total(name) / most, name),
      ),
    );
  }

  private progress(): string {
    const done = this.runs.length;
    const of = this.task.inputs.length;
    return done === of ? capital(this.task.unit.all) : `So far, ${done} of ${of}`;
  }

  private summaryRows(): HTMLTableRowElement[] {
    const {one} = this.task.unit;
    const [first] = this.runs;
    const last = this.runs[this.runs.length - 1];
    const steady = this.steady();
    const medianOf = (figure: (run: Run) => number) =>
      each((name) => median(steady.map((r) => figure(r[name]))));
    return [
      row(
        `The first ${one}: compiles${first.im2win.optimized === undefined ? '' : ', rewrites'} and packs`,
        each((name) => first[name].milliseconds),
        milliseconds,
      ),
      row(
        `Each later ${one}, median`,
        medianOf((run) => run.milliseconds),
        milliseconds,
        medianInterval(steady.map(({stock, im2win}) => stock.milliseconds / im2win.milliseconds)),
      ),
      row('of it, in convolutions', medianOf(convolutionMs), milliseconds),
      row(
        this.progress(),
        each((name) => this.total(name)),
        milliseconds,
      ),
      row(
        'Memory: tfjs’s heap',
        each((name) => last[name].heapBytes),
        mebibytes,
      ),
      make(
        'tr',
        {},
        headerCell('of it, im2win’s own'),
        make('td', {class: 'measure'}, '–'),
        barCell(mebibytes(last.im2win.ownBytes), last.im2win.ownBytes / last.stock.heapBytes, 'im2win'),
        make('td'),
      ),
    ];
  }
}

function each<T>(figure: (name: ContenderName) => T): Each<T> {
  return {stock: figure('stock'), im2win: figure('im2win')};
}

const capital = (text: string) => text[0].toUpperCase() + text.slice(1);

/** The outputs are drawn and compared; they need not be kept. */
const withoutValues = (run: Run): Run => ({...run, values: new Float32Array()});

const isConvolution = ({filterShape}: LayerTime) => filterShape !== undefined;

function convolutionMs({layers}: Run): number {
  return layers.filter(isConvolution).reduce((sum, layer) => sum + layer.milliseconds, 0);
}

function row(
  name: string,
  value: Each<number>,
  show: (value: number) => string,
  interval?: Interval,
): HTMLTableRowElement {
  const most = Math.max(value.stock, value.im2win);
  return make(
    'tr',
    {},
    headerCell(name),
    ...CONTENDERS.map((contender) => barCell(show(value[contender]), value[contender] / most, contender)),
    ratioCell(interval?.median ?? value.stock / value.im2win, interval),
  );
}

/** A row for each convolution, in the network's order, or for the longest; and one for everything else. */
function layerRows(runs: readonly Each<Run>[], all: boolean): HTMLTableRowElement[] {
  const medianOf = (name: ContenderName, i: number) =>
    median(runs.map((run) => run[name].layers[i].milliseconds));
  const convolutions = pairs(runs[0]).map((at, i) => ({
    layer: runs[0].im2win.layers[at.im2win],
    number: i + 1,
    at,
    ...each((name) => medianOf(name, at[name])),
  }));
  const slowestFirst = [...convolutions].sort((a, b) => b.stock - a.stock);
  const most = slowestFirst[0].stock;
  // By their numbers: times may be equal.
  const shown = new Set(slowestFirst.slice(0, all ? undefined : LAYERS_SHOWN).map(({number}) => number));
  const others = each((name) => {
    const paired = new Set(convolutions.map(({at}) => at[name]));
    return [...runs[0][name].layers.keys()].filter((i) => !paired.has(i));
  });
  const count = others.stock.length;
  const left = others.im2win.length;
  const cells = (value: Each<number>) => [
    ...CONTENDERS.map((name) => barCell(value[name].toFixed(2), value[name] / most, name)),
    ratioCell(value.stock / value.im2win),
  ];
  return [
    ...convolutions
      .filter(({number}) => shown.has(number))
      .map(({layer, number, ...value}) =>
        make(
          'tr',
          {},
          headerCell(`${number}. ${nameOf(layer)}`),
          ...cells(value),
          make('td', {}, algorithmOf(layer)),
        ),
      ),
    make(
      'tr',
      {},
      headerCell(`The ${count} other operations${left === count ? '' : `, ${left} with im2win`}`),
      ...cells(each((name) => others[name].reduce((sum, i) => sum + medianOf(name, i), 0))),
      make('td', {}, 'tfjs’s own'),
    ),
  ];
}

/** Where stock's convolutions are in its list, and where they are in im2win's: `optimizeModel` may change the order. */
function pairs({stock, im2win}: Each<Run>): Each<number>[] {
  const key = ({filterShape, outShape}: LayerTime) => `${filterShape}|${outShape}`;
  const places = new Map<string, number[]>();
  im2win.layers.forEach((layer, i) => {
    if (isConvolution(layer)) places.set(key(layer), [...(places.get(key(layer)) ?? []), i]);
  });
  return stock.layers.flatMap((layer, i) => {
    const place = isConvolution(layer) ? places.get(key(layer))?.shift() : undefined;
    return place === undefined ? [] : [{stock: i, im2win: place}];
  });
}

function nameOf({kernelName, xShape, filterShape = [], outShape}: LayerTime): string {
  const [height, width] = filterShape;
  const kind = kernelName.includes('Depthwise') ? 'depthwise ' : '';
  return `${kind}${height}×${width}, ${xShape[3]} → ${outShape[3]} channels, ${outShape[1]}×${outShape[2]}`;
}

function algorithmOf({algorithm, reason}: LayerTime): string {
  if (algorithm === undefined) return 'unknown';
  return reason === undefined ? algorithm : `${algorithm}: ${reason}`;
}
