// Which layers are measured: convolutions as tfjs's kernels see them.
import {readFileSync} from 'node:fs';
import corpus from './corpus.json' with {type: 'json'};
import {KERNELS, type Layer, PAPER_LAYERS} from './layer.ts';

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
