import {describe, tagOf} from '../describe.ts';
import type {Flavour} from '../plan.ts';
import type {KernelCode} from './binary.ts';
import {compileError, type KernelFile, type KernelSource} from './source.ts';

/** A file of either flavour, or a file of each. */
export type OneOrEach<T> = T | {strict?: T; relaxed?: T};

/** A `URL`, for types that need neither the DOM's library nor Node's. */
export interface UrlLike {
  readonly href: string;
}

/** A `WebAssembly.Module`, of which TypeScript's libraries say as much. */
export type CompiledModule = object;

/** Where kernels are: exactly one of the three. */
export type KernelLocation =
  | {
      /**
       * To be fetched, relative to the page; compiled while it arrives if it is served as
       * `application/wasm`.
       */
      wasmUrl: OneOrEach<string | UrlLike>;
      wasmBinary?: undefined;
      module?: undefined;
    }
  | {
      /** The bytes of a file; they are copied. */
      wasmBinary: OneOrEach<ArrayBuffer | ArrayBufferView>;
      wasmUrl?: undefined;
      module?: undefined;
    }
  | {
      /**
       * Compiled already. It serves a memory that is not shared: that of every build of tfjs but the threaded
       * one. On that build all is left to tfjs, and `report()` names the reason.
       */
      module: OneOrEach<CompiledModule>;
      wasmUrl?: undefined;
      wasmBinary?: undefined;
    };

type Value = string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module;

interface Kind {
  /** What errors say is allowed. */
  readonly allowed: string;
  takes(value: unknown): boolean;
  load(name: string, value: Value, bytesNeeded: boolean): Promise<KernelCode>;
}

const KINDS: Record<'wasmUrl' | 'wasmBinary' | 'module', Kind> = {
  wasmUrl: {
    allowed: 'a URL that is not empty',
    takes: (value) => (typeof value === 'string' && value !== '') || isA(value, 'URL'),
    load: (name, value, bytesNeeded) => fetchKernels(name, value as string | URL, bytesNeeded),
  },
  wasmBinary: {
    allowed: 'an ArrayBuffer or a view of one',
    takes: (value) => ArrayBuffer.isView(value) || isA(value, 'ArrayBuffer'),
    load: async (_, value) => copyOf(value as ArrayBuffer | ArrayBufferView),
  },
  module: {
    allowed: 'a WebAssembly.Module',
    takes: (value) => isA(value, 'WebAssembly.Module'),
    load: async (_, value) => value as WebAssembly.Module,
  },
};

/** @throws Error if it is not exactly one of the three, or not what it has to be. */
export function kernelsAt(location: Partial<Record<keyof typeof KINDS, unknown>>): KernelSource {
  const names = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const given = names.filter((name) => location[name] !== undefined);
  if (given.length !== 1) {
    throw new Error(
      `registerIm2win: ${given.length === 0 ? 'where the kernels are is missing' : `${given.join(' and ')} are given`}; ` +
        'allowed: exactly one of wasmUrl, wasmBinary and module.',
    );
  }
  const [name] = given;
  const kind = KINDS[name];
  const value = location[name];
  if (kind.takes(value)) return {any: fileAt(name, kind, value as Value)};
  const each = Object.entries(typeof value === 'object' && value !== null ? value : {}).filter(
    ([, one]) => one !== undefined,
  );
  const good = each.every(([key, one]) => (key === 'strict' || key === 'relaxed') && kind.takes(one));
  if (each.length === 0 || !good) {
    throw new Error(
      `registerIm2win: ${name} is ${describe(value)}; allowed: ${kind.allowed}, or {strict, relaxed} with one ` +
        'or two of these.',
    );
  }
  return Object.fromEntries(
    each.map(([flavour, one]) => [flavour as Flavour, fileAt(`${name}.${flavour}`, kind, one)]),
  );
}

function fileAt(option: string, kind: Kind, value: Value): KernelFile {
  const name = kind === KINDS.wasmUrl ? `${option} '${value}'` : option;
  return {
    ...(kind === KINDS.module ? {compiled: true} : {}),
    name,
    load: (bytesNeeded) => kind.load(name, value, bytesNeeded),
  };
}

async function fetchKernels(name: string, url: string | URL, bytesNeeded: boolean): Promise<KernelCode> {
  const unfetched = (why: string, cause?: unknown) =>
    new Error(`registerIm2win: ${name} cannot be fetched: ${why}`, {cause});
  if (typeof fetch === 'undefined') {
    throw unfetched('this host has no fetch. Give the bytes of the file as wasmBinary instead.');
  }
  const response = await fetch(url).catch((cause) => {
    throw unfetched(String(url).startsWith('file:') ? NO_FILES : reason(cause), cause);
  });
  if (!response.ok) throw unfetched(`status ${response.status} ${response.statusText}`.trim());
  // Engines compile this type alone while it arrives, and only without parameters.
  const type = response.headers.get('Content-Type')?.trim().toLowerCase();
  if (type === 'application/wasm' && !bytesNeeded) {
    return WebAssembly.compileStreaming(response).catch((cause) => {
      // If the transfer broke off, the module is not to blame.
      if ((cause as Error).name === 'TypeError') throw unfetched(reason(cause), cause);
      throw compileError(name, cause);
    });
  }
  const buffer = await response.arrayBuffer().catch((cause) => {
    throw unfetched(reason(cause), cause);
  });
  return new Uint8Array(buffer);
}

const NO_FILES =
  "fetch reads no file: URLs here, in Node as on pages. Give the file's bytes as wasmBinary instead, in Node with " +
  'readFileSync(new URL(…)) of node:fs.';

/** Node tells why a request failed in the cause of its error. */
function reason(error: unknown): string {
  const {message, cause} = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function copyOf(binary: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    ArrayBuffer.isView(binary)
      ? new Uint8Array(binary.buffer, binary.byteOffset, binary.byteLength)
      : new Uint8Array(binary),
  );
}

function isA(value: unknown, tag: string): boolean {
  return tagOf(value) === `[object ${tag}]`;
}
