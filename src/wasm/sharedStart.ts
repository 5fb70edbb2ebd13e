import {engine} from '@tensorflow/tfjs-core';
import {tagOf} from '../describe.ts';
import {sections} from './binary.ts';
import {isShared} from './heap.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

type Instantiate = typeof WebAssembly.instantiate;

/** How the next start of tfjs's wasm backend is made to share its heap with threads. */
export interface SharedStart {
  /** Why the heap will not be, or is not, shared; undefined as long as nothing speaks against it. */
  readonly reason: string | undefined;
  /** Has the backend start as it is again. */
  undo(): void;
}

const EARLIER =
  "tfjs's wasm backend had started before im2win was registered. Call registerIm2win() before tf.setBackend('wasm'); the heap of a backend that runs stays as it is";
const OTHER_FILE =
  "tfjs's wasm backend started from a file that im2win does not know, or not from one. It knows those of " +
  '@tensorflow/tfjs-backend-wasm 4.x';

/** What tfjs's engine keeps of a start that is under way. It is not documented. */
interface Starting {
  readonly pendingBackendInit?: Promise<boolean> | null;
}

/**
 * Has tfjs's wasm backend start on a memory that threads can share, once it starts, or if it is about to.
 *
 * tfjs has a threaded build, for pages; everywhere else its module has a memory of its own, that no other thread sees.
 * One byte of the module's memory section makes it a shared one. tfjs hands the module's bytes to
 * `WebAssembly.instantiate`, wherever it has them from (`setWasmPaths` may have named another place): while the backend
 * starts, that function is one which changes this byte. It leaves all other modules as they are.
 */
export function shareHeapAtStart(): SharedStart {
  const current = engine();
  const {registry, registryFactory, backendName} = current;
  const entry = registryFactory.wasm;
  if (registry.wasm !== undefined) {
    // Shared by a registration before this one, or by its user.
    return {reason: hasSharedHeap() ? undefined : EARLIER, undo() {}};
  }
  let reason: string | undefined;
  const sharing = async <T>(
    backend: T | Promise<T>,
    restore: () => boolean,
    otherwise: string,
  ): Promise<T> => {
    try {
      return await backend;
    } finally {
      if (!restore()) reason = otherwise;
    }
  };
  const {pendingBackendInit} = current as unknown as Starting;
  if (backendName === 'wasm' && pendingBackendInit != null) {
    void sharing(pendingBackendInit, shareModules(), EARLIER);
  }
  const start = entry?.factory;
  const startShared = () => {
    const restore = shareModules();
    return sharing(start(), restore, OTHER_FILE);
  };
  if (entry !== undefined) entry.factory = startShared;
  return {
    get reason() {
      return reason;
    },
    undo() {
      if (entry?.factory === startShared) entry.factory = start;
    },
  };
}

/** Whether tfjs's wasm backend runs, on a heap that is shared. */
export function hasSharedHeap(): boolean {
  const backend = engine().registry.wasm as unknown as TfjsWasmBackend | undefined;
  return backend?.wasm != null && isShared(backend.wasm.HEAPU8.buffer);
}

/**
 * From now on tfjs's module gets a shared memory.
 *
 * @returns What ends that, and tells whether there was such a module.
 */
function shareModules(): () => boolean {
  let found = false;
  const restore = replaceInstantiate((bytes) => {
    const shared = withSharedHeap(bytes);
    found ||= shared !== undefined;
    return shared;
  });
  return () => {
    restore();
    return found;
  };
}

/**
 * Puts a function in the place of `WebAssembly.instantiate` which passes on the bytes that `change` makes of a module's.
 *
 * @returns What puts it back.
 */
function replaceInstantiate(change: (bytes: Uint8Array) => Uint8Array | undefined): () => void {
  const original = WebAssembly.instantiate;
  const changed = (source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) => {
    const bytes = bytesOf(source);
    return original.call(WebAssembly, (bytes && change(bytes)) ?? source, imports);
  };
  WebAssembly.instantiate = changed as Instantiate;
  return () => {
    if (WebAssembly.instantiate === changed) WebAssembly.instantiate = original;
  };
}

function bytesOf(source: BufferSource | WebAssembly.Module): Uint8Array | undefined {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return tagOf(source) === '[object ArrayBuffer]' ? new Uint8Array(source as ArrayBuffer) : undefined;
}

const MEMORY_SECTION = 5;
const EXPORT_SECTION = 7;
// Flags of limits, section 5.3.7: a maximum is named; and the memory is shared.
const BOUNDED = 1;
const SHARED = 3;
/** What tfjs's module exports, and hardly another one. */
const MARK = 'register_tensor';

/** tfjs's module with its one memory declared shared; undefined if the bytes are not that module's. */
function withSharedHeap(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  let limits = 0;
  let marked = false;
  for (const {id, body} of sections(bytes)) {
    // One memory, with a maximum.
    if (id === MEMORY_SECTION && body[0] === 1 && body[1] === BOUNDED)
      limits = body.byteOffset - bytes.byteOffset + 1;
    if (id === EXPORT_SECTION) marked = includes(body, MARK);
  }
  if (!marked || limits === 0) return undefined;
  const shared = Uint8Array.from(bytes);
  shared[limits] = SHARED;
  return shared;
}

function includes(bytes: Uint8Array, text: string): boolean {
  const codes = Array.from(text, (character) => character.charCodeAt(0));
  for (let at = bytes.indexOf(codes[0]); at >= 0; at = bytes.indexOf(codes[0], at + 1)) {
    if (codes.every((code, i) => bytes[at + i] === code)) return true;
  }
  return false;
}
