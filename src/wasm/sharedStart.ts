import {engine, env} from '@tensorflow/tfjs-core';
import {tagOf} from '../describe.ts';
import {sections} from './binary.ts';
import {isShared} from './heap.ts';
import type {TfjsWasmBackend} from './tfjs.ts';
import {isNode} from './threads/cores.ts';

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
  "tfjs's wasm backend started from a file that im2win does not know, or on a memory that this host does not share. " +
  'Known are the files of @tensorflow/tfjs-backend-wasm 4.x';

/** What tfjs's engine keeps of a start that is under way. It is not documented. */
interface Starting {
  readonly pendingBackendInit?: Promise<boolean> | null;
}

/**
 * Has tfjs's wasm backend start on a memory that threads can share, once it starts, or if it is about to.
 *
 * tfjs has a threaded build, for pages; everywhere else its module has a memory of its own, that no other thread sees.
 * One byte of the module's memory section makes it a shared one. tfjs hands the module's bytes to
 * `WebAssembly.instantiate`, wherever it has them from (`setWasmPaths` may have named another place), or on a page their
 * response to `instantiateStreaming`: while the backend starts, these functions are such as change this byte. They
 * leave all other modules as they are.
 */
export function shareHeapAtStart(): SharedStart {
  const current = engine();
  const {registry, registryFactory, backendName} = current;
  const entry = registryFactory.wasm;
  // What runs on a shared heap may have it of a registration before this one, of its user, or of tfjs itself.
  if (registry.wasm !== undefined && !hasSharedHeap()) return {reason: EARLIER, undo() {}};
  let reason: string | undefined;
  const {pendingBackendInit} = current as unknown as Starting;
  if (backendName === 'wasm' && pendingBackendInit != null && takesPlainBuild()) {
    const restore = shareModules();
    void pendingBackendInit.then(() => {
      restore();
      if (!hasSharedHeap()) reason = EARLIER;
    });
  }
  const start = entry?.factory;
  let over = false;
  const startShared = async () => {
    if (over || !takesPlainBuild()) return start();
    const restore = shareModules();
    try {
      const backend = await start();
      reason = isOnSharedHeap(backend) ? undefined : OTHER_FILE;
      return backend;
    } finally {
      restore();
    }
  };
  if (entry !== undefined) entry.factory = startShared;
  return {
    get reason() {
      return reason;
    },
    undo() {
      over = true;
      // Its user may have registered the backend anew, with the factory that was found.
      const last = current.registryFactory.wasm;
      if (last?.factory === startShared) last.factory = start;
    },
  };
}

/** Whether tfjs is known to take a build whose memory is not shared: on an isolated page only if it is told to. */
function takesPlainBuild(): boolean {
  return isNode() || env().getFlags().WASM_HAS_MULTITHREAD_SUPPORT === false;
}

/** Whether tfjs's wasm backend runs, on a heap that is shared. */
export function hasSharedHeap(): boolean {
  return isOnSharedHeap(engine().registry.wasm);
}

function isOnSharedHeap(backend: object | undefined): boolean {
  const {wasm} = (backend ?? {}) as Partial<TfjsWasmBackend>;
  return wasm != null && isShared(wasm.HEAPU8.buffer);
}

/**
 * From now on tfjs's module gets a shared memory, where the host gives one.
 *
 * @returns What ends that.
 */
function shareModules(): () => void {
  const {instantiate, instantiateStreaming} = WebAssembly;
  const instantiateBytes = instantiate as (
    bytes: BufferSource,
    imports?: WebAssembly.Imports,
  ) => Promise<WebAssembly.WebAssemblyInstantiatedSource>;
  let over = false;
  const instantiateShared = async (bytes: Uint8Array | undefined, imports?: WebAssembly.Imports) => {
    try {
      const shared = bytes && !over ? withSharedHeap(bytes) : undefined;
      return shared && (await instantiateBytes.call(WebAssembly, shared, imports));
    } catch {
      // The host may refuse a shared memory of that size: what it says of the module as it is counts.
      return undefined;
    }
  };
  const changed = {
    instantiate: async (source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) =>
      (await instantiateShared(bytesOf(source), imports)) ??
      instantiate.call(WebAssembly, source as WebAssembly.Module, imports),
    instantiateStreaming: async (source: Response | PromiseLike<Response>, imports?: WebAssembly.Imports) => {
      const response = await source;
      const bytes = response.ok && !over ? new Uint8Array(await response.clone().arrayBuffer()) : undefined;
      return (
        (await instantiateShared(bytes, imports)) ?? instantiateStreaming.call(WebAssembly, response, imports)
      );
    },
  };
  // A host may have frozen them.
  Reflect.set(WebAssembly, 'instantiate', changed.instantiate);
  if (instantiateStreaming !== undefined) {
    Reflect.set(WebAssembly, 'instantiateStreaming', changed.instantiateStreaming);
  }
  return () => {
    over = true;
    // Another may have put its own there since, which calls these.
    if (WebAssembly.instantiate === changed.instantiate) WebAssembly.instantiate = instantiate;
    if (WebAssembly.instantiateStreaming === changed.instantiateStreaming) {
      WebAssembly.instantiateStreaming = instantiateStreaming;
    }
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
