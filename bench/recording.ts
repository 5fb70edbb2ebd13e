// The calls of kernels that networks make around their convolutions, as bench/around.json holds them.
import type {NamedAttrMap, TensorInfo} from '@tensorflow/tfjs-core';

export interface TensorSpec {
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly shape: readonly number[];
}

/** One distinct call. */
export interface KernelCall {
  readonly kernel: string;
  /** A list where tfjs's kernel takes one. */
  readonly inputs: Readonly<Record<string, TensorSpec>> | readonly TensorSpec[];
  readonly attrs: NamedAttrMap;
  /** How often each network makes it in a run, by the network's name. */
  readonly networks: Readonly<Record<string, number>>;
}

export interface Recording {
  /** Of a network's time by stock, the part that kernels take which are no convolutions; by the network's name. */
  readonly shares: Readonly<Record<string, number>>;
  readonly calls: readonly KernelCall[];
}

/** In the file a tensor is a text, and a network its place in the list. */
interface Stored {
  readonly networks: readonly [name: string, share: number][];
  readonly calls: readonly {
    readonly kernel: string;
    readonly inputs: Readonly<Record<string, string>> | readonly string[];
    readonly attrs: NamedAttrMap;
    readonly networks: readonly [network: number, calls: number][];
  }[];
}

const TENSOR = /^(float32|int32|bool)\[([\d,]*)\]$/;

/** @throws Error if it is none. */
export function parseTensor(text: string): TensorSpec {
  const match = TENSOR.exec(text);
  if (match === null) throw new Error(`'${text}' is no tensor; allowed is such as float32[1,224,224,3].`);
  const shape = match[2] === '' ? [] : match[2].split(',').map(Number);
  return {dtype: match[1] as TensorSpec['dtype'], shape};
}

export function formatTensor({dtype, shape}: Pick<TensorInfo, 'dtype' | 'shape'> | TensorSpec): string {
  return `${dtype}[${shape.join(',')}]`;
}

/** A line for each call. */
export function formatRecording({shares, calls}: Recording): string {
  const names = Object.keys(shares);
  const networks = names.map((name): Stored['networks'][number] => [name, Number(shares[name].toFixed(3))]);
  const lines = calls.map(({kernel, inputs, attrs, networks: counts}) => {
    const stored: Stored['calls'][number] = {
      kernel,
      inputs: mapInputs(inputs, formatTensor),
      attrs,
      networks: Object.entries(counts).map(([name, count]) => [names.indexOf(name), count]),
    };
    return JSON.stringify(stored, writeNumber);
  });
  const list = (all: readonly string[]) => `[\n${all.join(',\n')}\n]`;
  return `{"networks": ${list(networks.map((one) => JSON.stringify(one)))},\n"calls": ${list(lines)}}\n`;
}

/** @throws Error if a tensor is none. */
export function parseRecording(text: string): Recording {
  const {networks, calls}: Stored = JSON.parse(text, readNumber);
  return {
    shares: Object.fromEntries(networks),
    calls: calls.map(({kernel, inputs, attrs, networks: counts}) => ({
      kernel,
      inputs: mapInputs(inputs, parseTensor),
      attrs,
      networks: Object.fromEntries(counts.map(([network, count]) => [networks[network][0], count])),
    })),
  };
}

/** By name, or in the order of a list, as tfjs has them. */
export function mapInputs<From, To>(
  inputs: Readonly<Record<string, From>> | readonly From[],
  map: (one: From, name: string) => To,
): Record<string, To> | To[] {
  if (Array.isArray(inputs)) return inputs.map((one: From, i) => map(one, String(i)));
  return Object.fromEntries(
    Object.entries(inputs as Record<string, From>).map(([name, one]) => [name, map(one, name)]),
  );
}

// JSON has no such numbers; a padding with -Infinity is nothing rare.
const BEYOND = new Map(
  [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map((n) => [String(n), n]),
);

const writeNumber = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

const readNumber = (_: string, value: unknown) =>
  typeof value === 'string' ? (BEYOND.get(value) ?? value) : value;
