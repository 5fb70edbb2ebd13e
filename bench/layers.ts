// What is measured: convolutions as tfjs's kernels see them.
import {readFileSync} from 'node:fs';
import corpus from './corpus.json' with {type: 'json'};

// What is measured under which name.
const KERNELS = {
  Conv2D: 'corpus',
  FusedConv2D: 'corpus',
  DepthwiseConv2dNative: 'depthwise',
  FusedDepthwiseConv2D: 'depthwise',
  Conv2DBackpropInput: 'transposed',
} as const;

export interface Layer {
  readonly name: string;
  readonly kernelName: keyof typeof KERNELS;
  /** NHWC. */
  readonly xShape: readonly [number, number, number, number];
  /** [height, width, inChannels, outChannels]; the last of a depthwise one is the channel multiplier. */
  readonly filterShape: readonly [number, number, number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pad: 'same' | 'valid';
  readonly activation: string;
  readonly bias: boolean;
  /** Of a transposed convolution, whose x is what tfjs calls dy. */
  readonly inputShape?: readonly number[];
}

export const isDepthwise = ({kernelName}: Layer) => KERNELS[kernelName] === 'depthwise';

/** [inChannels, height = width, outChannels, filter, stride], VALID, batch 1: Lu, Chu and Liu, HPEC 2022. */
const PAPER = [
  [3, 227, 96, 11, 4],
  [3, 231, 96, 11, 4],
  [3, 227, 64, 7, 2],
  [64, 224, 64, 7, 2],
  [96, 24, 256, 5, 1],
  [256, 12, 512, 3, 1],
  [3, 224, 64, 3, 1],
  [64, 112, 128, 3, 1],
  [64, 56, 64, 3, 1],
  [128, 28, 128, 3, 1],
  [256, 14, 256, 3, 1],
  [512, 7, 512, 3, 1],
];

const PAPER_LAYERS: readonly Layer[] = PAPER.map(([inChannels, size, outChannels, filter, stride], i) => ({
  name: `${i + 1}: ${inChannels}×${size}² ${filter}×${filter}/${stride} → ${outChannels}`,
  kernelName: 'Conv2D',
  xShape: [1, size, size, inChannels],
  filterShape: [filter, filter, inChannels, outChannels],
  strides: [stride, stride],
  dilations: [1, 1],
  pad: 'valid',
  activation: 'linear',
  bias: false,
}));

/** A call of the corpus, or of a file of the same form. */
interface CorpusCall {
  readonly kernel: string;
  readonly x: number[];
  readonly filter: number[];
  readonly strides: number | number[];
  readonly pad: string;
  readonly dilations?: number | number[];
  readonly activation: string;
  readonly bias: boolean;
  readonly out?: number[];
}

/**
 * @param source `paper`: the twelve layers of the im2win paper; `corpus`: the
 *     convolutions of 29 networks; `depthwise`, `transposed`: their others; else a JSON file of calls as in bench/corpus.json.
 * @throws Error if the file is not one.
 */
export function readLayers(source: string): readonly Layer[] {
  if (source === 'paper') return PAPER_LAYERS;
  const ofCorpus = (Object.values(KERNELS) as string[]).includes(source);
  const calls = (ofCorpus ? corpus : readCalls(source)) as CorpusCall[];
  const wanted = calls.filter((call) => {
    const kind: string | undefined = KERNELS[call?.kernel as keyof typeof KERNELS];
    return ofCorpus ? kind === source : kind !== undefined;
  });
  const layers = wanted.map(fromCall);
  if (layers.length === 0)
    throw new Error(`--layers: ${source} holds no call of ${Object.keys(KERNELS).join(', ')}.`);
  return layers;
}

function readCalls(file: string): unknown[] {
  let calls: unknown;
  try {
    calls = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`--layers: cannot read ${file}: ${(error as Error).message}`);
  }
  if (!Array.isArray(calls)) throw new Error(`--layers: ${file} holds no list of calls.`);
  return calls;
}

function fromCall(call: CorpusCall, index: number): Layer {
  const {x, filter, pad, activation} = call;
  const strides = pair(call.strides);
  const dilations = pair(call.dilations ?? 1);
  if (
    x?.length !== 4 ||
    filter?.length !== 4 ||
    !strides ||
    !dilations ||
    (pad !== 'same' && pad !== 'valid')
  ) {
    throw new Error(
      `--layers: call ${index} is ${JSON.stringify(call)}; see bench/corpus.json for the form.`,
    );
  }
  return {
    name: `#${index + 1} ${x[3]}×${x[1]}×${x[2]} ${filter[0]}×${filter[1]}/${strides[0]} → ${filter[3]} ${activation}`.trim(),
    kernelName: call.kernel as Layer['kernelName'],
    xShape: x as unknown as Layer['xShape'],
    filterShape: filter as unknown as Layer['filterShape'],
    strides,
    dilations,
    pad,
    activation: activation || 'linear',
    bias: call.bias === true,
    ...(call.kernel === 'Conv2DBackpropInput' ? {inputShape: call.out} : {}),
  };
}

function pair(value: number | number[]): [number, number] | undefined {
  if (typeof value === 'number') return [value, value];
  return Array.isArray(value) && value.length === 2 ? [value[0], value[1]] : undefined;
}
