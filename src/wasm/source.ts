import type {Flavour} from '../plan.ts';
import {TARGETS} from '../targets.generated.ts';
import {identify, type KernelCode, PREAMBLE, textOf, withSharedMemory} from './binary.ts';
import {KERNEL_BUILD} from './build.generated.ts';
import {FLAVOURS, supportedFlavours} from './detect.ts';
import type {KernelModules} from './module.ts';

/** One kernel file. */
export interface KernelFile {
  /** What errors call it. */
  readonly name: string;
  /** A module, and not the bytes of one. */
  readonly compiled?: true;
  /**
   * @param bytesNeeded False where a module does as well.
   */
  load(bytesNeeded: boolean): Promise<KernelCode>;
}

/** Where the kernels come from: a file of each flavour or of one, or a file that says itself which it is. */
export type KernelSource = Readonly<Partial<Record<Flavour, KernelFile>>> | {readonly any: KernelFile};

/** Whether the heap may come to be a shared one, and whether it is expected to be. */
export interface Sharing {
  readonly possible: boolean;
  readonly expected: boolean;
}

/**
 * Loads and compiles the best flavour that the source and this engine have.
 *
 * @returns The modules; why there are none, if the engine has no flavour of the source.
 * @throws Error if a flavour was asked for by name, and the source does not have it; if a file cannot be
 *     had, is not one of this build's, or does not compile.
 */
export async function openKernels(
  source: KernelSource,
  simd: 'auto' | Flavour,
  sharing: Sharing,
): Promise<KernelModules | string> {
  const possible = simd === 'auto' ? supportedFlavours() : [simd];
  const file = 'any' in source ? source.any : firstOf(source, possible);
  if (file !== undefined && possible.length > 0) {
    // What streams is compiled: no file that may be of a flavour which the engine has not.
    const code = await file.load(sharing.possible || ('any' in source && supportedFlavours().length < 2));
    const flavour = checkIdentity(file, code);
    if (!('any' in source) && source[flavour] !== file) {
      const other = flavour === 'strict' ? 'relaxed' : 'strict';
      throw new Error(
        `registerIm2win: ${file.name} is of flavour '${flavour}'; allowed: 'im2win-${other}.wasm' of this package.`,
      );
    }
    if (possible.includes(flavour)) return compileKernels(file, code, flavour, sharing);
  }
  if (simd === 'auto') {
    return possible.length === 0
      ? 'this engine has no SIMD'
      : `the kernels that were given are not of a flavour that this engine has ('${possible.join("', '")}')`;
  }
  throw new Error(`registerIm2win: simd is '${simd}', but the kernels that were given are not.`);
}

function firstOf(
  source: Partial<Record<Flavour, KernelFile>>,
  flavours: readonly Flavour[],
): KernelFile | undefined {
  return flavours.map((flavour) => source[flavour]).find((file) => file !== undefined);
}

/** @throws Error if the file is not of this build, or of a target that this library does not plan for. */
function checkIdentity({name}: KernelFile, code: KernelCode): Flavour {
  const identity = identify(code);
  if (identity === undefined) {
    throw new Error(
      `registerIm2win: ${name} is not a file of im2win's kernels; ${whatItIs(code)}; ` +
        "allowed: 'im2win-relaxed.wasm' and 'im2win-strict.wasm' of this package.",
    );
  }
  if (identity.build !== KERNEL_BUILD) {
    throw new Error(
      `registerIm2win: ${name} is of build ${identity.build}; allowed: build ${KERNEL_BUILD}, ` +
        'that of the .wasm files of the same version of this package.',
    );
  }
  const flavour = FLAVOURS.find((known) => TARGETS[known].name === identity.target);
  if (flavour === undefined) {
    const targets = FLAVOURS.map((known) => TARGETS[known].name);
    throw new Error(
      `registerIm2win: ${name} is of target '${identity.target}'; allowed: '${targets.join("', '")}'.`,
    );
  }
  return flavour;
}

function whatItIs(code: KernelCode): string {
  if (!(code instanceof Uint8Array) || PREAMBLE.every((byte, i) => code[i] === byte)) {
    return 'it is another module, or one that was cut short or stripped of its custom sections';
  }
  // Often a page that says what is wrong: it shows in the first bytes.
  return `it begins with ${JSON.stringify(textOf(code.subarray(0, 16)))}`;
}

/** A module for either kind of memory, from the same bytes: the one that is expected now, the other when it is needed. */
function compileKernels(
  file: KernelFile,
  code: KernelCode,
  flavour: Flavour,
  {possible, expected}: Sharing,
): KernelModules {
  if (!(code instanceof Uint8Array)) {
    return {
      flavour,
      unshared: code,
      shared:
        'its memory is shared, and the kernels were given as a compiled module, which takes one that is not',
    };
  }
  let unshared: WebAssembly.Module | undefined;
  let shared: WebAssembly.Module | undefined;
  if (expected) shared = compile(file, withSharedMemory(code));
  else unshared = compile(file, code);
  return {
    flavour,
    get unshared() {
      unshared ??= compile(file, code);
      return unshared;
    },
    get shared() {
      if (!possible) return 'its memory is shared, and this engine has no shared memory for im2win';
      shared ??= compile(file, withSharedMemory(code));
      return shared;
    },
  };
}

// Not WebAssembly.compile: its promise is never settled where workerd loads a worker's modules.
function compile(file: KernelFile, bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw compileError(file.name, cause);
  }
}

/** The host compiles no WebAssembly, whatever the bytes. */
export class CompilationForbidden extends Error {
  readonly reason: string;

  constructor(cause: Error) {
    const reason =
      "this host forbids WebAssembly to be compiled from bytes. Allow it in a page's Content-Security-Policy: " +
      "script-src with 'wasm-unsafe-eval'; in an edge worker, have the host compile the kernels, and give them as " +
      `\`module\` to 'tfjs-im2win/slim'. (${cause.message})`;
    super(`registerIm2win: ${reason}`, {cause});
    this.reason = reason;
  }
}

/** Why a file did not compile: it, or the host. */
export function compileError(name: string, cause: unknown): Error {
  try {
    // WebKit's policy lets modules be compiled, and refuses their instances.
    new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(PREAMBLE)));
  } catch (forbidden) {
    return new CompilationForbidden(forbidden as Error);
  }
  return new Error(`registerIm2win: ${name} does not compile: ${(cause as Error).message}`, {cause});
}
