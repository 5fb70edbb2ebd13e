// What the benchmark of the kernels around convolutions makes of recorded calls.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {type AroundRow, relativeDifference} from '../bench/aroundMeasure.ts';
import {summarize} from '../bench/aroundSummary.ts';
import {uniform} from '../bench/random.ts';
import {
  formatRecording,
  formatTensor,
  parseRecording,
  parseTensor,
  type Recording,
} from '../bench/recording.ts';
import {bytesMoved, type ReplayBackend, release, runCall, upload, valuesOf} from '../bench/replay.ts';
import {freshWasm, tf} from './tf.ts';

describe('a recording', () => {
  const recording: Recording = {
    shares: {'A 224': 0.25, 'B ×2': 0.5},
    calls: [
      {
        kernel: 'Add',
        inputs: {a: {dtype: 'float32', shape: [1, 7, 7, 8]}, b: {dtype: 'float32', shape: []}},
        attrs: {},
        networks: {'B ×2': 3},
      },
      {
        kernel: 'Concat',
        inputs: [
          {dtype: 'int32', shape: [2, 3]},
          {dtype: 'int32', shape: [2, 1]},
        ],
        attrs: {axis: -1},
        networks: {'A 224': 1, 'B ×2': 2},
      },
      {
        kernel: 'PadV2',
        inputs: {x: {dtype: 'bool', shape: [4]}},
        attrs: {paddings: [[0, 1]], constantValue: Number.NEGATIVE_INFINITY},
        networks: {'A 224': 1},
      },
    ],
  };

  test('is read as it was written', () => {
    expect(parseRecording(formatRecording(recording))).toEqual(recording);
  });

  test('has a line for each call', () => {
    expect(formatRecording(recording).split('\n')).toContain(
      '{"kernel":"Concat","inputs":["int32[2,3]","int32[2,1]"],"attrs":{"axis":-1},"networks":[[0,1],[1,2]]},',
    );
  });

  test.each(['float32[1,2]', 'int32[]', 'bool[0,5]'])('holds %s', (text) => {
    expect(formatTensor(parseTensor(text))).toBe(text);
  });

  test.each(['float32', 'float64[1]', 'float32[1,a]', ''])("holds no '%s'", (text) => {
    expect(() => parseTensor(text)).toThrow(`'${text}' is no tensor`);
  });
});

describe('the recorded calls', () => {
  const {shares, calls} = parseRecording(readFileSync(path.join(__dirname, '../bench/around.json'), 'utf8'));

  test('are of networks whose share is known', () => {
    expect(calls.length).toBeGreaterThan(1000);
    for (const share of Object.values(shares)) {
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
    }
    for (const {networks} of calls)
      expect(Object.keys(shares)).toEqual(expect.arrayContaining(Object.keys(networks)));
  });

  test('are made again on wasm and on cpu, the smallest of each kernel', async () => {
    await freshWasm();
    // Sorted by kernel, and the smallest last.
    const smallest = [...new Map(calls.map((call) => [call.kernel, call])).values()];
    for (const call of smallest) {
      const values = valuesOf(call);
      const [wasm, cpu] = ['wasm', 'cpu'].map((name) => {
        const backend = tf.findBackend(name) as unknown as ReplayBackend;
        const inputs = upload(call, values, backend);
        const outputs = runCall(tf.getKernel(call.kernel, name), call, inputs, backend);
        expect(bytesMoved(call, inputs, outputs)).toBeGreaterThanOrEqual(0);
        const read = outputs.map(({dataId, shape}) => ({shape, values: [...backend.readSync(dataId)]}));
        release(outputs, backend);
        release(inputs, backend);
        return read;
      });
      expect(wasm.map(({shape}) => shape)).toEqual(cpu.map(({shape}) => shape));
      wasm.forEach((output, i) => {
        expect({call, difference: relativeDifference(cpu[i].values, output.values) < 1e-5}).toEqual({
          call,
          difference: true,
        });
      });
    }
  });
});

describe('what a call moves', () => {
  const tensor = (shape: number[], dtype: 'float32' | 'int32' | 'bool' = 'float32') => ({dtype, shape});
  const info = (shape: number[], dataId = {}) => ({dataId, ...tensor(shape)});
  const call = (kernel: string, inputs: Record<string, ReturnType<typeof tensor>>) => ({
    kernel,
    inputs,
    attrs: {},
    networks: {},
  });

  test('is what it reads and writes', () => {
    const add = call('Add', {a: tensor([2, 3, 4]), b: tensor([4])});
    expect(bytesMoved(add, {a: info([2, 3, 4]), b: info([4])}, [info([2, 3, 4])])).toBe(4 * (24 + 4 + 24));
    const select = call('Select', {condition: tensor([6], 'bool'), t: tensor([6]), e: tensor([6])});
    expect(bytesMoved(select, {}, [info([6])])).toBe(6 + 4 * (6 + 6 + 6));
  });

  test('is no more than is picked', () => {
    const gather = call('GatherV2', {x: tensor([100, 8]), indices: tensor([2], 'int32')});
    expect(bytesMoved(gather, {}, [info([2, 8])])).toBe(4 * (16 + 2 + 16));
  });

  test('is nothing where a shape alone changes', () => {
    const x = info([2, 3]);
    expect(bytesMoved(call('Reshape', {x: tensor([2, 3])}), {x}, [info([6], x.dataId)])).toBe(0);
  });
});

describe('the summary', () => {
  const of = (median: number) => ({median, low: median, high: median});
  const row = (kernel: string, stockMicroseconds: number, rest: Partial<AroundRow> = {}): AroundRow => ({
    kernel,
    call: '',
    bytes: 1000,
    networks: {one: 1},
    stockMicroseconds,
    ...rest,
  });

  test("shares out a network's time by what its calls take", () => {
    const rows = [
      row('Add', 30, {networks: {one: 2, two: 1}}),
      row('Add', 10, {networks: {two: 1}}),
      row('Mean', 40, {networks: {one: 1}}),
    ];
    const [add, mean] = summarize(rows, {one: 0.5, two: 0.2, three: 0});
    expect(add.share?.mean).toBeCloseTo((0.5 * 0.6 + 0.2) / 3, 10);
    expect(add.share).toMatchObject({network: 'one'});
    expect(add.share?.most).toBeCloseTo(0.3, 10);
    expect(mean.share?.mean).toBeCloseTo((0.5 * 0.4) / 3, 10);
    expect(summarize(rows)[0].share).toBeUndefined();
  });

  test('has geometric means of what was measured', () => {
    const beyond = 5 * 2 ** 20;
    const summary = summarize([
      row('Add', 30, {measured: {stockOverCopy: of(2), ours: {im2win: {overStock: of(9), ofCopy: of(0.1)}}}}),
      row('Add', 30, {
        bytes: beyond,
        measured: {stockOverCopy: of(8), ours: {im2win: {overStock: of(4), ofCopy: of(0.8)}}},
      }),
      row('Add', 30, {measured: {ours: {}, reason: 'left to stock'}}),
      row('Add', 1),
    ]);
    expect(summary).toEqual([
      {
        kernel: 'Add',
        calls: 4,
        measured: 3,
        share: undefined,
        stockOverCopy: expect.closeTo(4),
        stockOverCopyBeyond: expect.closeTo(8),
        ours: {im2win: {taken: 2, overStock: expect.closeTo(6), least: 4, ofCopy: expect.closeTo(0.8)}},
      },
    ]);
  });
});

test('differences are relative to the largest value, and NaN is equal to itself', () => {
  expect(
    relativeDifference([4, Number.NaN, Number.POSITIVE_INFINITY], [3, Number.NaN, Number.POSITIVE_INFINITY]),
  ).toBe(0.25);
  expect(relativeDifference([0, -0], [-0, 0])).toBe(0);
  expect(relativeDifference([1, 2], [1, Number.NaN])).toBe(Number.POSITIVE_INFINITY);
  expect(relativeDifference([Number.POSITIVE_INFINITY], [1])).toBe(Number.POSITIVE_INFINITY);
  expect(relativeDifference([1, 2], [1])).toBe(Number.POSITIVE_INFINITY);
});

test('seeded values repeat, and are spread over their range', () => {
  const values = uniform(10_000, 3, 2);
  expect(values).toEqual(uniform(10_000, 3, 2));
  expect(values[0]).not.toBe(uniform(1, 4, 2)[0]);
  expect(Math.min(...values)).toBeGreaterThanOrEqual(-2);
  expect(Math.max(...values)).toBeLessThanOrEqual(2);
  // The standard error of the mean is 2 / √3 / 100.
  expect(Math.abs(values.reduce((a, b) => a + b) / values.length)).toBeLessThan(0.06);
});
