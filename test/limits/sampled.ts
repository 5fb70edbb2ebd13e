// What a convolution and its gradients are, at some positions: written from the definition, in double precision.
// Only the taps that meet the image are visited, so that a dilation of 2^31 takes no longer than one of 1.
import {
  type Computes,
  computes,
  isFused,
  type LimitCall,
  resultShape,
  type Side,
  type Sizes,
  sizesOf,
} from './limitCase.ts';

export interface Sample {
  /** In the tensor, which is in the call's data format. */
  readonly index: number;
  readonly value: number;
  /** The sum of the products' absolute values. */
  readonly magnitude: number;
}

export interface Operands {
  readonly x?: ArrayLike<number>;
  readonly filter?: ArrayLike<number>;
  readonly dy?: ArrayLike<number>;
  /** By output channel. */
  readonly bias?: ArrayLike<number>;
}

interface Term {
  readonly input: number;
  readonly output: number;
  readonly tap: number;
}

const between = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

/** All that meet on one side, where one of input, output and tap is given. */
function terms(side: Side, of: Computes, given: number): Term[] {
  const {input, output, taps, stride, dilation, pad} = side;
  const found: Term[] = [];
  if (of === 'output') {
    const start = given * stride - pad;
    const first = between(Math.ceil(-start / dilation), 0, taps);
    for (let tap = first; tap < taps && start + tap * dilation < input; ++tap) {
      found.push({input: start + tap * dilation, output: given, tap});
    }
  } else if (of === 'filterGradient') {
    const start = given * dilation - pad;
    const first = between(Math.ceil(-start / stride), 0, output);
    for (let o = first; o < output && start + o * stride < input; ++o) {
      found.push({input: start + o * stride, output: o, tap: given});
    }
  } else {
    for (let tap = 0; tap < taps; ++tap) {
      const o = (given + pad - tap * dilation) / stride;
      if (o < 0) break;
      if (Number.isInteger(o) && o < output) found.push({input: given, output: o, tap});
    }
  }
  return found;
}

/** The products of a call. */
export function countProducts(sizes: Sizes): number {
  const pairs = ({input, output, taps, stride, dilation, pad}: Side) => {
    let sum = 0;
    for (let tap = 0; tap < taps; ++tap) {
      const start = pad - tap * dilation;
      const first = between(Math.ceil(start / stride), 0, output);
      const end = between(Math.floor((start + input - 1) / stride) + 1, first, output);
      sum += end - first;
    }
    return sum;
  };
  const channels = sizes.outChannels * (sizes.multiplier === undefined ? sizes.inChannels : 1);
  return sizes.batch * pairs(sizes.rows) * pairs(sizes.columns) * channels;
}

/** Positions along one side: its ends, where something meets something, and between. */
function places(side: Side, of: Computes, random: () => number): number[] {
  const {input, output, taps, stride, dilation, pad} = side;
  const count = {output, inputGradient: input, filterGradient: taps}[of];
  if (count <= 12) return Array.from({length: count}, (_, i) => i);
  const some = (n: number) => [0, 1, Math.floor(n / 2), n - 1].filter((i) => i >= 0 && i < n);
  const meeting = {
    output: () => some(taps).flatMap((k) => some(input).map((i) => (i + pad - k * dilation) / stride)),
    inputGradient: () => some(taps).flatMap((k) => some(output).map((o) => o * stride - pad + k * dilation)),
    filterGradient: () =>
      some(input).flatMap((i) => some(output).map((o) => (i + pad - o * stride) / dilation)),
  }[of]();
  const chosen = [
    ...some(count),
    count - 2,
    ...Array.from({length: 6}, () => Math.floor(random() * count)),
    ...meeting.flatMap((at) => [Math.floor(at), Math.ceil(at), Math.floor(at) + 1]),
  ];
  return [...new Set(chosen.filter((at) => at >= 0 && at < count))];
}

function someOf(count: number, random: () => number): number[] {
  if (count <= 8) return Array.from({length: count}, (_, i) => i);
  return [...new Set([0, 1, count - 1, ...Array.from({length: 5}, () => Math.floor(random() * count))])];
}

const MOST_SAMPLES = 400;

/** Some hundred values of what a call gives, corners among them; all of a small one's. */
export function sampleCall(call: LimitCall, operands: Operands): Sample[] {
  const sizes = sizesOf(call);
  const of = computes(call.op);
  const random = stream(1);
  const shape = resultShape(call);
  if (shape.includes(0)) return [];
  const rows = places(sizes.rows, of, random);
  const columns = places(sizes.columns, of, random);
  const [outer, inner] =
    of === 'filterGradient'
      ? [sizes.inChannels, call.filterShape[3]]
      : [sizes.batch, of === 'output' ? sizes.outChannels : sizes.inChannels];
  const corner = (list: number[], last: boolean) => (last ? Math.max(...list) : Math.min(...list));
  const all = [rows, columns, someOf(outer, random), someOf(inner, random)];
  const total = all.reduce((product, list) => product * list.length, 1);
  const positions: number[][] = [];
  if (total <= MOST_SAMPLES) {
    for (let i = 0; i < total; ++i) {
      let rest = i;
      positions.push(
        all.map((list) => {
          const at = list[rest % list.length];
          rest = Math.floor(rest / list.length);
          return at;
        }),
      );
    }
  } else {
    for (let i = 0; i < 16; ++i) positions.push(all.map((list, d) => corner(list, ((i >> d) & 1) === 1)));
    while (positions.length < MOST_SAMPLES) {
      positions.push(all.map((list) => list[Math.floor(random() * list.length)]));
    }
  }
  return positions.map((position) => sampleAt(call, sizes, of, operands, position));
}

function sampleAt(
  {dataFormat, filterShape, op}: LimitCall,
  sizes: Sizes,
  of: Computes,
  {x = [], filter = [], dy = [], bias}: Operands,
  [row, column, first, last]: readonly number[],
): Sample {
  const {rows, columns, inChannels, outChannels, multiplier} = sizes;
  const placesIn =
    (height: number, width: number, channels: number) => (b: number, h: number, w: number, c: number) =>
      dataFormat === 'NHWC'
        ? ((b * height + h) * width + w) * channels + c
        : ((b * channels + c) * height + h) * width + w;
  const inputAt = placesIn(rows.input, columns.input, inChannels);
  const outputAt = placesIn(rows.output, columns.output, outChannels);
  const filterAt = (kh: number, kw: number, ci: number, co: number) =>
    ((kh * columns.taps + kw) * inChannels + ci) * filterShape[3] +
    (multiplier === undefined ? co : co % multiplier);

  const [firstBatch, endBatch] = of === 'filterGradient' ? [0, sizes.batch] : [first, first + 1];
  const {firstIn, endIn, firstOut, endOut} = channelsOf(sizes, of, first, last);
  let value = 0;
  let magnitude = 0;
  const columnTerms = terms(columns, of, column);
  for (const h of terms(rows, of, row)) {
    for (const w of columnTerms) {
      for (let b = firstBatch; b < endBatch; ++b) {
        for (let ci = firstIn; ci < endIn; ++ci) {
          for (let co = firstOut; co < endOut; ++co) {
            const a = of === 'inputGradient' ? 1 : x[inputAt(b, h.input, w.input, ci)];
            const f = of === 'filterGradient' ? 1 : filter[filterAt(h.tap, w.tap, ci, co)];
            const g = of === 'output' ? 1 : dy[outputAt(b, h.output, w.output, co)];
            value += a * f * g;
            magnitude += Math.abs(a * f * g);
          }
        }
      }
    }
  }
  if (isFused(op)) {
    value = Math.max(0, value + (bias?.[last] ?? 0));
    magnitude += Math.abs(bias?.[last] ?? 0);
  }
  const index = {
    output: () => outputAt(first, row, column, last),
    inputGradient: () => inputAt(first, row, column, last),
    filterGradient: () => ((row * columns.taps + column) * inChannels + first) * filterShape[3] + last,
  }[of]();
  return {index, value, magnitude};
}

/** The channels that are summed over for one value of a result, whose outer and last place are given. */
function channelsOf({inChannels, outChannels, multiplier}: Sizes, of: Computes, outer: number, last: number) {
  const ranges = (firstIn: number, ins: number, firstOut: number, outs: number) => ({
    firstIn,
    endIn: firstIn + ins,
    firstOut,
    endOut: firstOut + outs,
  });
  if (multiplier === undefined) {
    if (of === 'output') return ranges(0, inChannels, last, 1);
    return of === 'inputGradient' ? ranges(last, 1, 0, outChannels) : ranges(outer, 1, last, 1);
  }
  if (of === 'output') return ranges(Math.floor(last / multiplier), 1, last, 1);
  return of === 'inputGradient'
    ? ranges(last, 1, last * multiplier, multiplier)
    : ranges(outer, 1, outer * multiplier + last, 1);
}

/** A repeatable stream of numbers in [0, 1). */
function stream(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
