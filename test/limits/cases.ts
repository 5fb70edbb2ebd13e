// The cases: sizes around 2^31 and 2^32, and windows that reach as far.
import {
  callName,
  computes,
  inputShapes,
  type LimitCall,
  type LimitCase,
  type Op,
  resultShape,
  sizeOf,
} from './limitCase.ts';

/** Strides, dilations and pads. */
const REACHES = [2 ** 15, 2 ** 16, 2 ** 20, 2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32];
/** The same, for kernels that share most of their code with another. */
const SOME_REACHES = [2 ** 16, 2 ** 30, 2 ** 31, 2 ** 32];

/** Bytes of an output that fits in no heap. */
const TOO_MANY_BYTES = [2 ** 32 - 4, 2 ** 32, 2 ** 32 + 4, 2 ** 32 + 2 ** 16, 2 ** 33, 2 ** 34];

type Pair = readonly [number, number];

interface Rest {
  readonly strides?: number | Pair;
  readonly dilations?: number | Pair;
  /** Top, bottom, left and right. */
  readonly pad?: 'same' | 'valid' | readonly [number, number, number, number];
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dyShape?: readonly number[];
}

/** A call whose x has the shape [batch, height, width, channels], whatever the data format. */
function call(op: Op, xShape: readonly number[], filterShape: readonly number[], rest: Rest = {}): LimitCall {
  const {strides = 1, dilations = 1, pad = 'same', dataFormat = 'NHWC', dyShape} = rest;
  const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);
  const [batch, height, width, channels] = xShape;
  const planar = dataFormat === 'NCHW';
  const sides = (): LimitCall['pad'] => {
    if (typeof pad === 'string') return pad;
    const [rows, columns]: [number, number][] = [
      [pad[0], pad[1]],
      [pad[2], pad[3]],
    ];
    return planar ? [[0, 0], [0, 0], rows, columns] : [[0, 0], rows, columns, [0, 0]];
  };
  return {
    op,
    xShape: planar ? [batch, channels, height, width] : xShape,
    filterShape,
    strides: pair(strides),
    dilations: pair(dilations),
    pad: sides(),
    dataFormat,
    ...(dyShape === undefined ? {} : {dyShape}),
  };
}

const all = (value: number) => [value, value, value, value] as const;

/** A small image under windows that reach far. */
function farWindows(op: Op, reach: number, dataFormat: Rest['dataFormat'] = 'NHWC'): LimitCall[] {
  const depthwise = op.toLowerCase().includes('depthwise');
  const [x, filter] = [
    [1, 4, 5, 2],
    [3, 3, 2, depthwise ? 1 : 3],
  ];
  // tfjs's gradients of a full convolution take no dilation.
  const dilated = computes(op) === 'output' || depthwise;
  const shifted = [reach, -reach, -reach, reach] as const;
  const one = (rest: Rest) => call(op, x, filter, {...rest, dataFormat});
  return [
    one({strides: reach}),
    one({strides: [1, reach]}),
    one({strides: reach, pad: all(reach)}),
    one({pad: shifted}),
    one({pad: [reach, -reach, 1, 1]}),
    // No output at all, and so no gradient of it.
    one({pad: all(-reach), ...(computes(op) === 'output' ? {} : {dyShape: [1, 1, 1, depthwise ? 2 : 3]})}),
    ...(dilated
      ? [
          one({dilations: reach}),
          one({dilations: [reach, 1]}),
          one({dilations: [1, reach]}),
          one({dilations: reach, pad: all(reach)}),
        ]
      : []),
  ];
}

/** One value, padded to an output of so many bytes; a multiple of 4. */
function wideOutput(op: Op, bytes: number, dataFormat: Rest['dataFormat'] = 'NHWC'): LimitCall {
  return call(op, [1, 1, 1, 1], [1, 1, 1, 1], {pad: [0, 0, 3, bytes / 4 - 4], dataFormat});
}

const FORWARD: readonly Op[] = [
  'conv2d',
  'fused.conv2d',
  'im2winConv2d',
  'depthwiseConv2d',
  'fused.depthwiseConv2d',
];

function forwardCalls(op: Op): LimitCall[] {
  const depthwise = op.toLowerCase().includes('depthwise');
  const most = op === 'conv2d' || op === 'depthwiseConv2d';
  const formats = op === 'fused.depthwiseConv2d' ? (['NHWC'] as const) : (['NHWC', 'NCHW'] as const);
  return formats.flatMap((dataFormat) => [
    ...(most ? REACHES : SOME_REACHES).flatMap((reach) => farWindows(op, reach, dataFormat)),
    ...TOO_MANY_BYTES.map((bytes) => wideOutput(op, bytes, dataFormat)),
    // By batch, rows, columns and channels.
    call(op, [2 ** 16, 1, 1, 1], [1, 1, 1, 2 ** 14], {dataFormat}),
    call(op, [1, 2 ** 10, 2 ** 10, 1], [1, 1, 1, 2 ** 10], {dataFormat}),
    call(op, [1, 2 ** 10 + 1, 2 ** 10, 1], [1, 1, 1, 2 ** 10], {dataFormat}),
    call(op, [1, 2 ** 11, 2 ** 10, 1], [1, 1, 1, 2 ** 10], {dataFormat}),
    call(op, [1, 2, 2, 1], [1, 1, 1, 2 ** 10], {pad: [2 ** 15, 2 ** 15, 2 ** 14, 2 ** 14], dataFormat}),
    call(op, [1, 1, 1, 1], [2, 2, 1, 1], {pad: all(2 ** 16), dataFormat}),
    call(op, [1, 1, 1, 1], [2, 2, 1, 1], {pad: all(2 ** 31), dataFormat}),
    // Nothing, of sides that are large.
    call(op, [0, 2 ** 16, 2 ** 16, 1], [3, 3, 1, 2], {dataFormat}),
    call(op, [0, 2 ** 20, 2 ** 20, 4], [3, 3, 4, 2], {dataFormat}),
    // Large filters over a small image.
    call(op, [1, 8, 8, 1], [1024, 1024, 1, 1], {dataFormat}),
    call(op, [1, 8, 8, 1], [2048, 2048, 1, 1], {dataFormat}),
    call(op, [1, 8, 8, 1], [1, 2 ** 20, 1, 1], {dataFormat}),
    call(op, [1, 8, 8, 1], [2 ** 20, 1, 1, 1], {dataFormat}),
    call(op, [1, 8, 8, 1], [1, 2 ** 22, 1, 1], {dataFormat}),
    // Long rows and high columns.
    call(op, [1, 1, 2 ** 22, 1], [1, 7, 1, 1], {dataFormat}),
    call(op, [1, 2 ** 22, 1, 1], [7, 1, 1, 1], {dataFormat}),
    call(op, [1, 3, 2 ** 20, 1], [3, 3, 1, 1], {dilations: [1, 2 ** 18], dataFormat}),
    call(op, [1, 2 ** 20, 3, 1], [3, 3, 1, 1], {dilations: [2 ** 18, 1], dataFormat}),
    call(op, [1, 64, 2 ** 14, 4], [3, 3, 4, depthwise ? 1 : 4], {strides: [1, 2 ** 12], dataFormat}),
    call(op, [1, 512, 512, 4], [3, 3, 4, depthwise ? 1 : 4], {dilations: 128, dataFormat}),
    call(op, [1, 8, 8, 16], [3, 3, 16, depthwise ? 1 : 16], {dilations: 2000, dataFormat}),
    ...(depthwise
      ? []
      : [
          // A packed filter has its output channels rounded up to eight.
          call(op, [1, 1, 1, 2 ** 20], [1, 1, 2 ** 20, 1], {dataFormat}),
          call(op, [1, 1, 1, 2 ** 22], [1, 1, 2 ** 22, 1], {dataFormat}),
          call(op, [1, 1, 1, 1], [1, 1, 1, 2 ** 22], {dataFormat}),
          call(op, [1, 4, 4, 2 ** 12], [3, 3, 2 ** 12, 9], {dataFormat}),
        ]),
  ]);
}

/** Sizes that take gigabytes where they are computed, so that one kernel of each kind is enough. */
const LARGE: readonly LimitCall[] = [
  call('conv2d', [1, 4096, 4096, 3], [3, 3, 3, 64]),
  call('conv2d', [1, 1024, 512, 1], [1, 1, 1, 1024]),
  call('conv2d', [1, 1024, 513, 1], [1, 1, 1, 1024], {dataFormat: 'NCHW'}),
  call('depthwiseConv2d', [1, 1024, 512, 1], [1, 1, 1, 1024]),
  wideOutput('conv2d', 2 ** 26),
  wideOutput('depthwiseConv2d', 2 ** 26),
  // Packed filters of 2^29, 2^31 and 2^32 bytes.
  call('conv2d', [1, 1, 1, 2 ** 24], [1, 1, 2 ** 24, 1]),
  call('conv2d', [1, 1, 1, 2 ** 26], [1, 1, 2 ** 26, 1]),
  call('conv2d', [1, 1, 1, 2 ** 27], [1, 1, 2 ** 27, 1]),
  call('conv2d', [1, 8, 8, 1], [4096, 4096, 1, 1]),
  call('depthwiseConv2d', [1, 8, 8, 1], [4096, 4096, 1, 1]),
  call('conv2dTranspose', [1, 2 ** 15, 2 ** 14, 1], [1, 1, 1, 1], {strides: 2 ** 15}),
  call('Conv2DBackpropFilter', [1, 1, 1, 2 ** 14], [1, 1, 2 ** 14, 2 ** 15]),
];

const INPUT_GRADIENTS = [
  'conv2dTranspose',
  'Conv2DBackpropInput',
  'DepthwiseConv2dNativeBackpropInput',
] as const;

function inputGradientCalls(op: (typeof INPUT_GRADIENTS)[number]): LimitCall[] {
  const formats = op === 'Conv2DBackpropInput' ? (['NHWC', 'NCHW'] as const) : (['NHWC'] as const);
  return formats.flatMap((dataFormat) => [
    ...(op === 'Conv2DBackpropInput' ? SOME_REACHES : REACHES).flatMap((reach) =>
      farWindows(op, reach, dataFormat),
    ),
    // Strides of many phases.
    ...[100, 256, 1024, 2048, 4096].map((side) =>
      call(op, [1, side, side, 1], [1, 1, 1, 1], {strides: side, dataFormat}),
    ),
    ...[100, 200, 400, 1000].map((side) =>
      call(op, [1, 1.5 * side, 1.5 * side, 1], [side, side, 1, 1], {strides: side, dataFormat}),
    ),
    call(op, [1, 3, 2 ** 20, 1], [1, 3, 1, 1], {strides: [1, 2 ** 19], dataFormat}),
    call(op, [1, 2 ** 20, 3, 1], [3, 1, 1, 1], {strides: [2 ** 19, 1], dataFormat}),
    call(op, [1, 8, 8, 1], [1024, 1024, 1, 1], {dataFormat}),
    call(op, [1, 8, 8, 1], [1024, 1024, 1, 1], {strides: 8, dataFormat}),
    call(op, [1, 8, 8, 1], [1, 2 ** 20, 1, 1], {dataFormat}),
    // A gradient of 2^32 bytes and more.
    ...(
      [
        [2 ** 16, 2 ** 14],
        [2 ** 16 + 1, 2 ** 14],
        [2 ** 16, 2 ** 15],
        [2 ** 30 - 1, 1],
        [2 ** 30, 1],
        [1, 2 ** 30 + 1],
        [1, 2 ** 31],
        [2 ** 20, 2 ** 20],
      ] as const
    ).map(([height, width]) =>
      call(op, [1, height, width, 1], [1, 1, 1, 1], {strides: Math.max(height, width), dataFormat}),
    ),
    call(op, [2 ** 12, 2 ** 10, 2 ** 8, 1], [1, 1, 1, 1], {strides: 2 ** 10, dataFormat}),
    call(op, [1, 2 ** 12, 2 ** 10, 2 ** 8], [1, 1, 2 ** 8, 1], {strides: 2 ** 12, dataFormat}),
    call(op, [0, 2 ** 16, 2 ** 16, 1], [3, 3, 1, 1], {strides: 2, dataFormat}),
  ]);
}

/** Output shapes that no transposed convolution can have. */
const ABSURD: readonly LimitCall[] = [
  [1, -1, 4, 1],
  [1, 4, -1, 1],
  [-1, 4, 4, 1],
  [1, 4, 4, -1],
  [1, -4, -4, 1],
  [1, 0, 4, 1],
  [1, 2.5, 4, 1],
  [1, 3.5, 4, 1],
  [1, 4, 4, 2],
  [1, 2 ** 31, 4, 1],
  [1, 2 ** 32, 2 ** 32, 1],
  [1, 3, 3, 1],
].map((outputShape) =>
  call('conv2dTranspose', outputShape, [2, 2, 1, 1], {strides: 2, dyShape: [1, 2, 2, 1]}),
);

const FILTER_GRADIENTS = ['Conv2DBackpropFilter', 'DepthwiseConv2dNativeBackpropFilter'] as const;

function filterGradientCalls(op: (typeof FILTER_GRADIENTS)[number]): LimitCall[] {
  const formats = op === 'Conv2DBackpropFilter' ? (['NHWC', 'NCHW'] as const) : (['NHWC'] as const);
  return formats.flatMap((dataFormat) => [
    ...SOME_REACHES.flatMap((reach) => farWindows(op, reach, dataFormat)),
    ...(
      [
        [1024, 1024],
        [4096, 4096],
        [2 ** 20, 1],
        [1, 2 ** 20],
        [1, 2 ** 24],
        // 2^32 bytes and more.
        [2 ** 15, 2 ** 15],
        [2 ** 15, 2 ** 15 + 1],
        [2 ** 16, 2 ** 15],
        [2 ** 16, 2 ** 16],
        [1, 2 ** 30 + 1],
        [2 ** 31, 1],
        [2 ** 20, 2 ** 20],
      ] as const
    ).map(([height, width]) => call(op, [1, 4, 4, 1], [height, width, 1, 1], {dataFormat})),
    call(op, [1, 2 ** 20, 2, 1], [3, 3, 1, 1], {dataFormat}),
    call(op, [1, 2, 2 ** 20, 1], [3, 3, 1, 1], {dataFormat}),
    call(op, [1, 2, 2 ** 20, 1], [3, 3, 1, 1], {strides: [1, 2 ** 18], dataFormat}),
    call(op, [1, 2 ** 20, 2, 1], [3, 3, 1, 1], {strides: [2 ** 18, 1], dataFormat}),
    ...(op === 'Conv2DBackpropFilter'
      ? [
          call(op, [1, 1, 1, 2 ** 15], [1, 1, 2 ** 15, 2 ** 15], {dataFormat}),
          call(op, [1, 1, 1, 2 ** 16], [1, 1, 2 ** 16, 2 ** 16], {dataFormat}),
          call(op, [1, 1, 1, 2 ** 20], [1, 1, 2 ** 20, 1], {dataFormat}),
          call(op, [1, 1, 1, 1], [1, 1, 1, 2 ** 20], {dataFormat}),
        ]
      : []),
  ]);
}

/** What was once wrong, slow or too large. */
const FOUND: readonly LimitCall[] = [
  call('depthwiseConv2d', [1, 4, 5, 2], [3, 3, 2, 1], {dilations: 2 ** 30}),
  call('depthwiseConv2d', [1, 8, 8, 16], [3, 3, 16, 1], {dilations: 2000}),
  call('conv2dTranspose', [1, 2 ** 16, 2 ** 14, 1], [1, 1, 1, 1], {strides: 2 ** 16}),
  call('conv2dTranspose', [1, 600, 600, 1], [400, 400, 1, 1], {strides: 400}),
  call('conv2dTranspose', [1, 300, 300, 1], [200, 200, 1, 1], {strides: 200}),
  call('conv2d', [1, 4, 5, 2], [3, 3, 2, 3], {dilations: 2 ** 32}),
  call('im2winConv2d', [1, 4, 5, 2], [3, 3, 2, 3], {strides: 2 ** 32, pad: all(2 ** 32)}),
  call('depthwiseConv2d', [1, 4, 5, 2], [3, 3, 2, 1], {dilations: 2 ** 32}),
  call('depthwiseConv2d', [1, 4, 5, 2], [3, 3, 2, 1], {pad: [2 ** 31, -(2 ** 31), 1, 1]}),
  call('depthwiseConv2d', [1, 2 ** 20, 3, 1], [3, 3, 1, 1], {dilations: [2 ** 18, 1], dataFormat: 'NCHW'}),
  call('DepthwiseConv2dNativeBackpropInput', [1, 4, 5, 2], [3, 3, 2, 1], {dilations: [1, 2 ** 30]}),
  call('Conv2DBackpropFilter', [1, 4, 5, 2], [3, 3, 2, 3], {pad: [2 ** 31, -(2 ** 31), 1, 1]}),
  call('conv2dTranspose', [1, 1, 2 ** 30 + 1, 1], [1, 1, 1, 1], {strides: 2 ** 30 + 1}),
];

const WRITTEN: readonly LimitCall[] = [...FOUND, ...LARGE, ...ABSURD];

const GENERATED: readonly LimitCall[] = [
  ...FORWARD.flatMap(forwardCalls),
  ...INPUT_GRADIENTS.flatMap(inputGradientCalls),
  ...FILTER_GRADIENTS.flatMap(filterGradientCalls),
];

/** @param share Of the generated calls one in so many is taken; those written one by one are all taken. */
function callsOf(share: number): LimitCall[] {
  const chosen = [...WRITTEN, ...GENERATED.filter((_, i) => i % share === 0)];
  return [...new Map(chosen.map((one) => [callName(one), one])).values()];
}

/** Larger cases on cpu would take most of the sweep's time, and gigabytes of real memory. */
const MOST_CPU_BYTES = 2 ** 26;

/** Our cpu backend leaves these to stock's kernels. */
const ONLY_WASM: readonly Op[] = [
  'DepthwiseConv2dNativeBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
];

function tooLargeForCpu(one: LimitCall): boolean {
  const shapes = [...Object.values(inputShapes(one)), resultShape(one)];
  return shapes.some((shape) => shape !== undefined && 4 * sizeOf(shape) > MOST_CPU_BYTES);
}

export function casesOf(share: number): LimitCase[] {
  return callsOf(share).flatMap((one, i): LimitCase[] => [
    {call: one, backend: 'wasm', simd: 'relaxed'},
    // The flavours differ in their tiles, not in what they are told.
    ...(i % 4 === 0 ? [{call: one, backend: 'wasm', simd: 'strict'} as const] : []),
    ...(ONLY_WASM.includes(one.op) || tooLargeForCpu(one)
      ? []
      : [{call: one, backend: 'cpu', simd: 'auto'} as const]),
  ]);
}

/** Calls that are not made on cpu. */
export function leftOutOnCpu(share: number): LimitCall[] {
  return callsOf(share).filter((one) => !ONLY_WASM.includes(one.op) && tooLargeForCpu(one));
}
