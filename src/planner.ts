// Which plan a convolution gets.
import {im2winPlan, largest, winogradForms, winogradPlan} from './candidates.ts';
import {expectedCost, leastCost} from './cost.ts';
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {ConvPlan, DepthwisePlan, Im2winPlan, PlanContext, RowBlock, WinogradPlan} from './plan.ts';
import {TARGETS} from './targets.generated.ts';

/** The plan for a convolution that is ours to compute: the one expected to take least time. */
export function planOurs(geometry: ConvGeometry, context: PlanContext): ConvPlan {
  return geometry.channelMultiplier !== undefined
    ? planDepthwise(geometry, context)
    : planFull(geometry, context);
}

function planDepthwise(geometry: ConvGeometry, context: PlanContext): DepthwisePlan {
  const {target, block} = planRows(geometry, context);
  return {algorithm: 'depthwise', target, block, blockBytes: block.outputBytes};
}

/** What all plans have whose kernels read rows. */
export function planRows(geometry: ConvGeometry, context: PlanContext) {
  const target = TARGETS[context.target];
  return {target, block: rowBlock(geometry, target.maxBlockBytes)};
}

/** All rows where they lie, or for NCHW as many as fit once they are gathered. */
function rowBlock(geometry: ConvGeometry, maxBytes: number): RowBlock {
  const {dataFormat, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels} = geometry;
  const {filterHeight, dilationHeight} = geometry;
  if (dataFormat === 'NHWC') return {rows: outHeight, apart: false, inputBytes: 0, outputBytes: 0};
  const blockOf = (rows: number): RowBlock => ({
    rows,
    apart: false,
    // Of rows that lie far apart, or outside, only those of the image are gathered.
    inputBytes: 4 * Math.min(inHeight, inputRowsUnder(geometry, rows)) * inWidth * inChannels,
    outputBytes: 4 * rows * outWidth * outChannels,
  });
  const fits = ({inputBytes, outputBytes}: RowBlock) => inputBytes + outputBytes <= maxBytes;
  const block = blockOf(largest(outHeight, (rows) => fits(blockOf(rows))));
  const tapRows = Math.min(filterHeight, Math.ceil(inHeight / dilationHeight));
  const tapBytes = 4 * tapRows * inWidth * inChannels;
  if (tapBytes * block.rows >= block.inputBytes) return block;
  return {rows: 1, apart: true, inputBytes: tapBytes, outputBytes: 4 * outWidth * outChannels};
}

/** The plan for a convolution that is not depthwise. */
export function planFull(geometry: ConvGeometry, context: PlanContext): Im2winPlan | WinogradPlan {
  const {algorithm} = context;
  let best: Im2winPlan | WinogradPlan = im2winPlan(geometry, context);
  if (algorithm === 'im2win') return best;
  let least = algorithm === 'winograd' ? Number.POSITIVE_INFINITY : expectedCost(geometry, best);
  if (least < best.target.leastWinogradSteps) return best;
  for (const form of winogradForms(geometry, context)) {
    // Most forms are ruled out before they are cut into blocks, which takes longest.
    if (leastCost(geometry, form, best.target) >= least) continue;
    const plan = winogradPlan(geometry, context, form);
    const cost = plan && expectedCost(geometry, plan);
    if (cost !== undefined && cost < least) [best, least] = [plan as WinogradPlan, cost];
  }
  return best;
}
