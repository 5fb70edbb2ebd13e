// How gradients are computed. With respect to the input, full ones are convolutions
// of dy, planned as any other.
import type {ConvGeometry} from './geometry.ts';
import {
  type GradientPlan,
  type PlanContext,
  planFull,
  rowBlock,
  type TransposedPhase,
  type TransposedPlan,
} from './plan.ts';

/** The plan for a gradient of the convolution that a geometry describes. */
export function planGradient(
  geometry: ConvGeometry,
  of: 'input' | 'filter',
  context: PlanContext,
): TransposedPlan | GradientPlan {
  return of === 'input' && geometry.channelMultiplier === undefined
    ? planTransposed(geometry, context)
    : {algorithm: 'gradient', block: rowBlock(geometry)};
}

function planTransposed(geometry: ConvGeometry, context: PlanContext): TransposedPlan {
  const {inHeight, inWidth, filterHeight, filterWidth, strideHeight, strideWidth, batchSize} = geometry;
  const phases: TransposedPhase[] = [];
  const rows = phasesOf(inHeight, filterHeight, strideHeight, geometry.padTop);
  const columns = phasesOf(inWidth, filterWidth, strideWidth, geometry.padLeft);
  // Columns that see the same part of dy are computed together.
  const together =
    inWidth % strideWidth === 0 &&
    columns.every(({taps, before}) => taps === columns[0].taps && before === columns[0].before);
  const groups = together && columns.length > 0 ? [columns] : columns.map((column) => [column]);
  for (const row of rows) {
    for (const group of groups) {
      const [column] = group;
      if (row.taps === 0 || column.taps === 0) continue;
      const outChannels = group.length * geometry.inChannels;
      const phase: ConvGeometry = {
        dataFormat: geometry.dataFormat,
        batchSize,
        inHeight: geometry.outHeight,
        inWidth: geometry.outWidth,
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
        padBottom: row.size + row.taps - 1 - geometry.outHeight - row.before,
        padLeft: column.before,
        padRight: column.size + column.taps - 1 - geometry.outWidth - column.before,
        padType: 'EXPLICIT',
        outShape: [batchSize, row.size, column.size, outChannels],
      };
      phases.push({
        geometry: phase,
        plan: planFull(phase, {...context, filtersChange: true}),
        row: row.first,
        column: column.first,
        tapRow: row.firstTap,
        tapColumns: group.map(({firstTap}) => firstTap),
      });
    }
  }
  return {algorithm: 'transposed', phases, zeros: [...rows, ...columns].some(({taps}) => taps === 0)};
}

function phasesOf(input: number, filter: number, stride: number, pad: number) {
  return Array.from({length: Math.min(stride, input)}, (_, first) =>
    phaseOf(first, input, filter, stride, pad),
  );
}

/**
 * One side of a phase: input positions first, first + stride, … see the taps
 * firstTap, firstTap + stride, …, the last of them first.
 */
function phaseOf(first: number, input: number, filter: number, stride: number, pad: number) {
  const padded = first + pad;
  const firstTap = ((padded % stride) + stride) % stride;
  const taps = Math.max(0, Math.ceil((filter - firstTap) / stride));
  return {
    first,
    size: Math.ceil((input - first) / stride),
    firstTap,
    taps,
    before: taps - 1 - (padded - firstTap) / stride,
  };
}
