// How gradients are computed. The gradient of a full convolution with respect to its input is a number of
// convolutions of dy, which are planned as all others.
import type {ConvGeometry} from './geometry.ts';
import type {GradientPlan, PhaseGroup, PhaseRun, PlanContext, TransposedPlan} from './plan.ts';
import {planFull, planRows} from './planner.ts';

/** The plan for a gradient of the convolution that a geometry describes. */
export function planGradient(
  geometry: ConvGeometry,
  of: 'input' | 'filter',
  context: PlanContext,
): TransposedPlan | GradientPlan {
  return of === 'input' && geometry.channelMultiplier === undefined
    ? planTransposed(geometry, context)
    : {algorithm: 'gradient', ...planRows(geometry, context)};
}

function planTransposed(ofConvolution: ConvGeometry, context: PlanContext): TransposedPlan {
  const geometry = asRow(ofConvolution);
  if (isDirect(geometry, context)) {
    return {algorithm: 'transposed', geometry, direct: true, phases: [], zeros: false};
  }
  const {inHeight, inWidth, filterHeight, filterWidth, strideHeight, strideWidth} = geometry;
  const {outHeight, outWidth} = geometry;
  const rows = phaseRuns(inHeight, outHeight, filterHeight, strideHeight, geometry.padTop);
  const columns = phaseRuns(inWidth, outWidth, filterWidth, strideWidth, geometry.padLeft);
  const seen = ({taps}: PhaseSide) => taps > 0;
  const phases = rows.filter(seen).flatMap((row) =>
    columns.filter(seen).map((column): PhaseGroup => {
      const phase = phaseGeometry(geometry, row, column);
      return {geometry: phase, plan: planFull(phase, {...context, filtersChange: true}), row, column};
    }),
  );
  return {
    algorithm: 'transposed',
    geometry,
    direct: false,
    phases,
    zeros: ![...rows, ...columns].every(seen),
  };
}

// Pixels of dy up to which flipping and packing take longer than what they save.
const DIRECT_PIXELS = 4;
// Products up to which they do where dy has one channel, which makes short sums.
const DIRECT_PRODUCTS = 4096;
// Floats of a filter row from which on it is added to the output as fast as memory takes it.
const DIRECT_RUN = 128;

/** Whether dy and the filter are read where they lie. */
function isDirect(geometry: ConvGeometry, {target, algorithm}: PlanContext): boolean {
  const {dataFormat, inChannels, outChannels, filterHeight, filterWidth} = geometry;
  const {strideHeight, strideWidth} = geometry;
  if (target === 'cpu' || algorithm === 'winograd') return false;
  // A single channel is first and last.
  if (dataFormat === 'NCHW' && (inChannels !== 1 || outChannels !== 1)) return false;
  const pixels = geometry.batchSize * geometry.outHeight * geometry.outWidth;
  const products = pixels * filterHeight * filterWidth * inChannels * outChannels;
  if (pixels <= DIRECT_PIXELS) return products > 0;
  if (outChannels !== 1) return false;
  // Taps that do not overlap make single products: there are no sums to keep in registers.
  const apart = filterHeight <= strideHeight && filterWidth <= strideWidth;
  return products <= DIRECT_PRODUCTS || (apart && filterWidth * inChannels >= DIRECT_RUN);
}

/**
 * Turns a convolution along the height alone into one along the width, which lies in memory in the same way.
 * Of the two, only phases along the width are computed together.
 */
function asRow(geometry: ConvGeometry): ConvGeometry {
  const {inWidth, outWidth, filterWidth, padLeft, outShape} = geometry;
  if (inWidth !== 1 || outWidth !== 1 || filterWidth !== 1 || padLeft !== 0) return geometry;
  const [batch, a, b, c] = outShape;
  return {
    ...geometry,
    inHeight: 1,
    inWidth: geometry.inHeight,
    outHeight: 1,
    outWidth: geometry.outHeight,
    filterHeight: 1,
    filterWidth: geometry.filterHeight,
    strideHeight: geometry.strideWidth,
    strideWidth: geometry.strideHeight,
    dilationHeight: geometry.dilationWidth,
    dilationWidth: geometry.dilationHeight,
    padTop: geometry.padLeft,
    padBottom: geometry.padRight,
    padLeft: geometry.padTop,
    padRight: geometry.padBottom,
    outShape: geometry.dataFormat === 'NHWC' ? [batch, b, a, c] : [batch, a, c, b],
  };
}

/** The convolution of dy by which the phases of one row and column are computed. */
function phaseGeometry(geometry: ConvGeometry, row: PhaseSide, column: PhaseSide): ConvGeometry {
  const outChannels = column.count * geometry.inChannels;
  const {batchSize, outHeight, outWidth} = geometry;
  return {
    dataFormat: geometry.dataFormat,
    batchSize,
    inHeight: outHeight,
    inWidth: outWidth,
    inChannels: geometry.outChannels,
    outHeight: row.size,
    outWidth: column.size,
    outChannels,
    filterHeight: row.taps,
    filterWidth: column.taps,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: row.before,
    padBottom: row.size + row.taps - 1 - outHeight - row.before,
    padLeft: column.before,
    padRight: column.size + column.taps - 1 - outWidth - column.before,
    padType: 'EXPLICIT',
    outShape: [batchSize, row.size, column.size, outChannels],
  };
}

/** What the phases of a run have in common along their side. */
interface PhaseSide extends PhaseRun {
  /** Input positions of each: first, first + stride, … */
  readonly size: number;
  readonly taps: number;
  /** How many positions before dy's first one the first window begins. */
  readonly before: number;
}

/**
 * The phases of one side, in runs that see the same number of taps at the same places of
 * dy: input positions first, first + stride, … see the taps firstTap, firstTap + stride, …,
 * the last of them first. There are as many phases as the stride is wide, but at most
 * four runs: `size`, `taps` and `before` change once each. Taps that see nothing of dy are
 * left out.
 */
function phaseRuns(input: number, output: number, filter: number, stride: number, pad: number): PhaseSide[] {
  const phases = Math.min(stride, input);
  const modulo = (value: number) => ((value % stride) + stride) % stride;
  const starts = [0, modulo(input), modulo(filter - pad), modulo(-pad)]
    .filter((start, i, all) => start < phases && all.indexOf(start) === i)
    .sort((a, b) => a - b);
  return starts.map((first, i) => {
    const firstTap = modulo(first + pad);
    const all = Math.max(0, Math.ceil((filter - firstTap) / stride));
    const size = Math.ceil((input - first) / stride);
    const before = all - 1 - Math.floor((first + pad) / stride);
    // Counted as they are seen, the last tap first.
    const firstSeen = Math.max(0, before - size + 1);
    const lastSeen = Math.min(all - 1, before + output - 1);
    return {
      count: (starts[i + 1] ?? phases) - first,
      first,
      firstTap: firstTap + (all - 1 - lastSeen) * stride,
      size,
      taps: Math.max(0, lastSeen - firstSeen + 1),
      before: before - firstSeen,
    };
  });
}
