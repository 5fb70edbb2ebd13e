import type {Backend, Im2winBackend, OpenBackend} from './backend.ts';
import {BACKENDS} from './backends.ts';
import {checkOptions, checkSame, DEFAULTS, type Im2winOptions} from './options.ts';
import type {Flavour} from './plan.ts';
import {type Im2winRegistration, Registration} from './registration.ts';
import {isImported, ServedBackend} from './served.ts';
import {bestFlavour, supports} from './wasm/detect.ts';
import {CompilationForbidden, type KernelSource} from './wasm/source.ts';

// tfjs's kernel registry is global, and this module may be loaded twice. The number changes when copies of
// two versions cannot share a Registration.
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
  const {simd = DEFAULTS.simd, backends, numThreads, workerUrl} = registration.options;
  const asked = options.backends ?? backends;
  const imported = importedOf(asked);
  checkFlavour(simd);
  const missing = imported.filter(({name}) => !registration.serves(name));
  const opened: (OpenBackend | string)[] = [];
  for (const backend of missing) {
    opened.push(
      await backend.open(source, {simd, numThreads, workerUrl}).catch((error) => {
        // Another is served instead, unless this one was asked for.
        if (asked === undefined && imported.length > 1 && error instanceof CompilationForbidden) {
          return error.reason;
        }
        throw error;
      }),
    );
  }
  if (registration.over) {
    for (const open of opened) if (typeof open !== 'string') open.release();
    return registerWith(source, options);
  }
  missing.forEach((backend, i) => {
    const open = opened[i];
    if (typeof open === 'string') registration.leaveOut(backend.name, open);
    else
      registration.add(
        new ServedBackend(backend, open, () => registration.wishes, registration.options.kernels),
      );
  });
  return registration.handle;
}

/** @throws Error if one was asked for that was not imported, or none was imported. */
function importedOf(asked: readonly Im2winBackend[] | undefined): Backend[] {
  const isAsked = ({name}: Backend) => asked === undefined || asked.includes(name);
  const imported = BACKENDS.filter(isImported);
  const missing =
    asked === undefined ? [] : BACKENDS.filter((one) => isAsked(one) && !imported.includes(one));
  if (missing.length > 0 || imported.length === 0) {
    const wanted = missing.length > 0 ? missing : BACKENDS;
    throw new Error(
      `registerIm2win: tfjs has no kernels to replace for backend '${wanted.map(({name}) => name).join("' or '")}'. ` +
        `Import '${wanted.map((one) => one.package).join("' or '")}' before you call registerIm2win().`,
    );
  }
  return imported.filter(isAsked);
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
