// What a plan is, and what it is made for.
import type {ConvGeometry} from './geometry.ts';
import type {StripLayout} from './strip.ts';
import type {Target} from './targets.generated.ts';

/** What a registration is asked to use. */
export type Algorithm = 'auto' | 'im2win' | 'winograd' | 'stock';

/** Plain SIMD128, or SIMD128 with relaxed (fused) multiply-add. */
export type Flavour = 'strict' | 'relaxed';

/** What plans are made for: kernels of a flavour, or plain JavaScript. */
export type TargetName = Flavour | 'cpu';

/** What a registration was asked for. */
export interface PlanWishes {
  readonly algorithm: Algorithm;
  /** Whether Winograd may be used at all. */
  readonly winograd: boolean;
  /**
   * The option of this name: how large a packed filter of Winograd's may be, and how much is kept of one
   * filter.
   */
  readonly maxPackedFilterBytes?: number;
}

/** What a plan depends on beside the convolution. */
export interface PlanContext extends PlanWishes {
  readonly target: TargetName;
  /** No filter is seen twice, as in training: each call packs its own. */
  readonly filtersChange?: boolean;
}

export interface Im2winPlan {
  readonly algorithm: 'im2win';
  readonly target: Target;
  readonly strip: StripLayout;
  /** Output rows whose strips are in the workspace at a time. */
  readonly rowsPerBlock: number;
  /** Output pixels of a strip: those of a row, or of a part of one that is very long. */
  readonly pixelsPerStrip: number;
  readonly stripBytes: number;
  /** The bytes of a block of output pixels that is to be spread over planes; 0 for NHWC. */
  readonly blockBytes: number;
  /** Calls with the same filter and the same packing share the packed filter. */
  readonly packing: string;
  readonly panelBytes: number;
  /** On wasm: whether each call packs the filter into the workspace, and no panels are kept. */
  readonly repacks: boolean;
  /** The bytes that all kept packings of one filter may take together; a single one may take more. */
  readonly keptBytes: number;
}

/**
 * Winograd's F(outputs, taps) along the width, and F(rowOutputs, ·) along the
 * height nested in it where `rowPoints` is not 1. A stride s along the width is a
 * stride of 1 over columns of s · inChannels channels; along the height it is s
 * interleaved images, the phases.
 */
export interface WinogradForm {
  /** Products for each tile of outputs: outputs + taps - 1, one of 4, 6 and 8. */
  readonly points: 4 | 6 | 8;
  readonly outputs: number;
  readonly taps: number;
  /** The same along the height; 1 and 1 where nothing is transformed along it. */
  readonly rowPoints: 1 | 4 | 6 | 8;
  readonly rowOutputs: number;
  /** Images along the height whose products add up; where `rowPoints` is 1, filter rows. */
  readonly rowPhases: number;
  /** Whether windows have so few values that all points' sums of a tile are made together: kernels/shallow.h. */
  readonly shallow: boolean;
}

/** A form, and how it is cut into blocks. */
export interface WinogradPlan extends WinogradForm {
  readonly algorithm: 'winograd';
  readonly target: Target;
  /** Tiles in an output row; the last may reach over its end. */
  readonly tiles: number;
  /** Tiles of a row that are in a block, and those whose columns are gathered at a time. */
  readonly tilesPerPart: number;
  readonly tilesPerGather: number;
  /** Input columns of `tilesPerGather` tiles, and the bytes of `rowPoints` rows of them. */
  readonly columns: number;
  readonly columnBytes: number;
  /** Output rows in a block. */
  readonly rowsPerBlock: number;
  /** Transformed rows that they need: input rows, or where it is nested one for each `rowOutputs` output rows. */
  readonly inputRows: number;
  readonly inputRowBytes: number;
  /** Panels whose products are transformed back together. */
  readonly group: number;
  readonly productBytes: number;
  /** The bytes of a block of output pixels that is to be spread over planes; 0 for NHWC. */
  readonly blockBytes: number;
  readonly packing: string;
  readonly panelBytes: number;
  /** On wasm: whether each call packs the filter into the workspace, and no panels are kept. */
  readonly repacks: boolean;
  /** The bytes that all kept packings of one filter may take together; a single one may take more. */
  readonly keptBytes: number;
}

/**
 * The gradient with respect to the input, and with it the transposed convolution:
 * for each phase of the strides a convolution of dy, whose outputs are every
 * stride-th row and column of the gradient.
 */
export interface TransposedPlan {
  readonly algorithm: 'transposed';
  /** The convolution whose gradient it is; one of a single column is turned into one of a single row. */
  readonly geometry: ConvGeometry;
  /** Computed from dy and the filter where they lie, all phases in one pass. */
  readonly direct: boolean;
  /** At most sixteen, whatever the strides are; none where it is direct. */
  readonly phases: readonly PhaseGroup[];
  /** Whether some rows or columns see no tap. */
  readonly zeros: boolean;
}

/**
 * Phases that differ in their place alone. Those along the width are outputs of one
 * convolution, as if they were channels: they lie side by side, and so do their taps.
 * Those along the height are convolutions one after the other.
 */
export interface PhaseGroup {
  readonly geometry: ConvGeometry;
  readonly plan: Im2winPlan | WinogradPlan;
  readonly row: PhaseRun;
  readonly column: PhaseRun;
}

/** Phases that follow one another along one side. */
export interface PhaseRun {
  readonly count: number;
  /** The first phase's place in the gradient; the next begins one further. */
  readonly first: number;
  /** The first tap that the first phase sees; its others are a stride further each, the next phase's are one further. */
  readonly firstTap: number;
}

/** Output rows that are computed at a time. For NCHW, whose rows are gathered, also the bytes of both sides' rows. */
export interface RowBlock {
  readonly rows: number;
  /** Whether only the rows under the taps of one output row are gathered, since the rows between them are more. */
  readonly apart: boolean;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Every other gradient, from its inputs where they lie, or from gathered rows of them. */
export interface GradientPlan {
  readonly algorithm: 'gradient';
  readonly target: Target;
  readonly block: RowBlock;
}

/** Each channel on its own, from the input and the filter where they lie. */
export interface DepthwisePlan {
  readonly algorithm: 'depthwise';
  readonly target: Target;
  readonly block: RowBlock;
  /** The bytes of a block of output pixels that is to be spread over planes; 0 for NHWC. */
  readonly blockBytes: number;
}

/** A convolution that is ours to compute. */
export type ConvPlan = Im2winPlan | WinogradPlan | DepthwisePlan;
export type Plan = ConvPlan | TransposedPlan | GradientPlan;
