import {CpuConvolution} from './cpu/backend.ts';
import {BACKENDS, checkOptions, checkSame, DEFAULTS, type Im2winOptions} from './options.ts';
import type {Flavour} from './plan.ts';
import {type Im2winRegistration, Registration, type ServedBackend} from './registration.ts';
import {kernelsRegistered, RoutedBackend} from './routed.ts';
import type {Im2winBackend} from './tfjsKernels.ts';
import {WasmConvolution} from './wasm/backend.ts';
import {bestFlavour, supports} from './wasm/detect.ts';
import type {KernelModules} from './wasm/module.ts';
import {CompilationForbidden, type KernelSource, openKernels} from './wasm/source.ts';

// tfjs's kernel registry is global, and this module may be loaded twice. The number is another once copies of this
// version and of the one before cannot share a Registration.
const HELD = Symbol.for('tfjs-im2win.registration.2');
const globals = globalThis as {[HELD]?: Registration};

/**
 * The one registration, with those backends added that are not served yet, their kernels from `source`.
 *
 * @throws Error as `registerIm2win` does; nothing is changed then.
 */
export async function registerWith(
  source: KernelSource,
  options: Im2winOptions,
): Promise<Im2winRegistration> {
  checkOptions(options);
  const held = globals[HELD];
  if (held !== undefined) {
    checkSame(held.options, options);
    return held.inTurn(() =>
      // It may have failed, or have been unregistered, before its turn came.
      held.over ? registerWith(source, options) : addBackends(held, source, options),
    );
  }
  const first = new Registration(options, () => {
    if (globals[HELD] === first) delete globals[HELD];
  });
  globals[HELD] = first;
  return first.inTurn(() =>
    addBackends(first, source, options).catch((error) => {
      first.end();
      throw error;
    }),
  );
}

async function addBackends(
  registration: Registration,
  source: KernelSource,
  options: Im2winOptions,
): Promise<Im2winRegistration> {
  const {simd = DEFAULTS.simd, backends} = registration.options;
  const asked = options.backends ?? backends;
  const names = importedOf(asked);
  checkFlavour(simd);
  const missing = names.filter((name) => !registration.serves(name));
  const modules = missing.includes('wasm')
    ? await openKernels(source, simd, mayBeShared()).catch((error) => {
        if (asked === undefined && names.includes('cpu') && error instanceof CompilationForbidden) {
          return error.reason;
        }
        throw error;
      })
    : undefined;
  if (registration.over) return registerWith(source, options);
  if (typeof modules === 'string') registration.leaveOut('wasm', modules);
  else if (modules !== undefined) registration.add(wasmBackend(registration, modules));
  if (missing.includes('cpu')) registration.add(cpuBackend(registration));
  return registration.handle;
}

const PACKAGES: Record<Im2winBackend, string> = {
  wasm: '@tensorflow/tfjs-backend-wasm',
  cpu: '@tensorflow/tfjs-backend-cpu',
};

/** @throws Error if one was asked for that was not imported, or none was imported. */
function importedOf(asked: readonly Im2winBackend[] | undefined): Im2winBackend[] {
  const imported = BACKENDS.filter(kernelsRegistered);
  const missing = (asked ?? []).filter((name) => !imported.includes(name));
  if (missing.length > 0 || imported.length === 0) {
    const wanted = missing.length > 0 ? missing : BACKENDS;
    throw new Error(
      `registerIm2win: tfjs has no convolution kernels for backend '${wanted.join("' or '")}'. ` +
        `Import '${wanted.map((name) => PACKAGES[name]).join("' or '")}' before you call registerIm2win().`,
    );
  }
  return imported.filter((name) => (asked ?? BACKENDS).includes(name));
}

function wasmBackend(registration: Registration, modules: KernelModules): ServedBackend {
  const convolution = new WasmConvolution(modules);
  const routed = new RoutedBackend('wasm', convolution, () => registration.wishes);
  return {
    name: 'wasm',
    flavour: modules.flavour,
    report: () => routed.routes.report(),
    memory() {
      const memory = {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
      for (const {workspace, filters, heap} of convolution.liveStates()) {
        memory.workspaceBytes += workspace.bytes;
        memory.filterBytes += filters.bytes;
        memory.ownBytes += heap.ownBytes;
      }
      return memory;
    },
    unregister: () => routed.unregister(),
  };
}

function cpuBackend(registration: Registration): ServedBackend {
  const routed = new RoutedBackend('cpu', new CpuConvolution(), () => registration.wishes);
  return {
    name: 'cpu',
    report: () => routed.routes.report(),
    memory: () => ({workspaceBytes: 0, filterBytes: 0, ownBytes: 0}),
    unregister: () => routed.unregister(),
  };
}

/** tfjs's threaded build, on a shared memory, does not run in Node. */
function mayBeShared(): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && globalThis.process?.versions?.node === undefined;
}

/** @throws Error if this engine does not have it. */
function checkFlavour(simd: 'auto' | Flavour): void {
  if (simd !== 'auto' && !supports(simd)) {
    throw new Error(
      `registerIm2win: simd is '${simd}', but this engine does not have it; allowed here: ${flavours()}.`,
    );
  }
}

function flavours(): string {
  const best = bestFlavour();
  if (best === 'none') return "'auto', which leaves every convolution to tfjs";
  return best === 'strict' ? "'auto', 'strict'" : "'auto', 'strict', 'relaxed'";
}
