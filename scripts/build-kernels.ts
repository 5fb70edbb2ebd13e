// Compiles kernels/ to WebAssembly, one module a flavour, checks that each is
// stateless, and writes it as a .wasm file and, packed, into
// src/wasm/kernels.generated.ts; and the benchmark's own kernels beside the benchmark.
// `--target name` compiles a flavour for another target of kernels/targets.def than its first.
import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {commands} from '@yowasp/clang';
import binaryen from 'binaryen';
import type {Flavour} from '../src/plan.ts';
import {identitySection} from '../src/wasm/binary.ts';
import {entriesModule, recordsModule, taskEntries} from './interface.ts';
import {packKernels} from './pack-kernels.ts';
import {assertStateless} from './stateless.ts';
import {TargetTable} from './targets.ts';

const ROOT = new URL('../', import.meta.url);
const LOCK = new URL('package-lock.json', ROOT);

const TABLE = new TargetTable(readFileSync(new URL('kernels/targets.def', ROOT), 'utf8'));
const {values: options} = parseArgs({options: {target: {type: 'string', multiple: true, default: []}}});
const TARGETS = TABLE.choose(options.target);

/** What is compiled: the sources of a folder, beside those of another. The library's are shipped as files, too. */
const UNITS = [
  {
    name: 'kernels',
    folder: 'kernels/',
    headers: 'kernels/',
    output: 'src/wasm/kernels.generated.ts',
    shipped: true,
  },
  {
    name: 'bench',
    folder: 'bench/kernels/',
    headers: 'kernels/',
    output: 'bench/peak.generated.ts',
    shipped: false,
  },
];
type Unit = (typeof UNITS)[number];

/** What unpacks the kernels: a module of its own, of the same flags without SIMD. */
const UNPACKER = {
  source: new URL('kernels/unpack/unpack.cpp', ROOT),
  output: new URL('src/wasm/unpacker.generated.ts', ROOT),
  // No calls of memset and memcpy, which are not there.
  flags: ['-fno-builtin', '-Oz'],
};

const HEAD = '// Written by scripts/build-kernels.ts; not to be edited.\n';

const FLAVOURS: Record<Flavour, string[]> = {
  strict: ['-msimd128'],
  relaxed: ['-msimd128', '-mrelaxed-simd', '-DIM2WIN_RELAXED'],
};

const FLAGS = [
  '--target=wasm32',
  '-std=c++20',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fno-exceptions',
  '-fno-rtti',
  // Multiply and add are fused where the source says so, and nowhere else.
  '-ffp-contract=off',
  // A struct that is passed by value is passed field by field. In the usual ABI it would go through a stack.
  ...['-Xclang', '-target-abi', '-Xclang', 'experimental-mv'],
];

const LINK_FLAGS = ['-nostdlib', '-Wl,--no-entry,--import-memory,--strip-all'];

/** What takes most of a model's time. */
const FAST_UNITS = ['conv.cpp', 'pack.cpp'];
const FAST = ['-O3', '-fno-vectorize', '-fno-slp-vectorize'];
/** Loops are unrolled, and vectorized, where the source says so alone: memory is waited for. */
const SMALL = ['-O2', '-fno-unroll-loops', '-fno-vectorize', '-fno-slp-vectorize'];

/** The unit's own sources, and the headers that they include. */
function readSources({folder, headers}: Unit): Record<string, string> {
  const read = (from: string, pattern: RegExp) =>
    readdirSync(new URL(from, ROOT))
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => [name, readFileSync(new URL(from + name, ROOT), 'utf8')]);
  return Object.fromEntries([...read(headers, /\.(h|def)$/), ...read(folder, /\.(h|cpp)$/)]);
}

async function compile(sources: Record<string, string>, flags: string[]): Promise<Uint8Array> {
  const units = Object.keys(sources).filter((name) => name.endsWith('.cpp'));
  // In this order: of a function that more than one has, the first is linked.
  const groups = [
    {level: FAST, own: units.filter((name) => FAST_UNITS.includes(name))},
    {level: SMALL, own: units.filter((name) => !FAST_UNITS.includes(name))},
  ].filter(({own}) => own.length > 0);
  const objects: Record<string, Uint8Array> = {};
  for (const {level, own} of groups) {
    Object.assign(objects, await clang([...FLAGS, ...level, ...flags, '-c', ...own], sources));
  }
  const names = groups.flatMap(({own}) => own.map((name) => name.replace('.cpp', '.o')));
  const linked = await clang(['--target=wasm32', ...LINK_FLAGS, ...names, '-o', 'im2win.wasm'], objects);
  return linked['im2win.wasm'];
}

async function clang(
  args: string[],
  files: Record<string, string | Uint8Array>,
): Promise<Record<string, Uint8Array>> {
  let log = '';
  const write = (bytes: Uint8Array | null) => {
    log += bytes === null ? '' : new TextDecoder().decode(bytes);
  };
  try {
    const results = await commands['clang++'](args, files, {
      stdout: write,
      stderr: write,
      fetchProgress: () => {},
    });
    return results as Record<string, Uint8Array>;
  } catch (error) {
    // Its cause holds every source.
    throw new Error(`clang++ failed: ${(error as Error).message}\n${log}`);
  }
}

/**
 * Drops the stack pointer and the table that wasm-ld emits for nobody; and, for the sake of size, locals and blocks
 * that are not needed. What is computed stays in the order in which the compiler wrote it.
 */
function tidy(bytes: Uint8Array): Uint8Array {
  const module = binaryen.readBinary(bytes);
  try {
    module.setFeatures(binaryen.Features.All);
    module.runPasses([
      'remove-unused-module-elements',
      'rse',
      'coalesce-locals',
      'coalesce-locals',
      'merge-blocks',
      'vacuum',
    ]);
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

function fingerprint(...of: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 16);
}

/** The compiler's version is in the lock file. */
function stampOf(...of: unknown[]): string {
  return `// Fingerprint of the sources, flags and tools: ${fingerprint(of, readFileSync(LOCK, 'utf8'))}`;
}

async function buildUnpacker(): Promise<void> {
  const sources = {'unpack.cpp': readFileSync(UNPACKER.source, 'utf8')};
  const stamp = stampOf(sources, FLAGS, LINK_FLAGS, FAST_UNITS, FAST, SMALL, UNPACKER.flags);
  if (existsSync(UNPACKER.output) && readFileSync(UNPACKER.output, 'utf8').includes(stamp)) return;
  const bytes = tidy(await compile(sources, UNPACKER.flags));
  assertStateless(bytes, 'unpacker');
  console.log(`${'unpacker'.padEnd(21)}${bytes.length.toLocaleString('en').padStart(7)} bytes`);
  const text = Buffer.from(bytes).toString('base64').replace(/=+$/, '');
  writeFileSync(
    UNPACKER.output,
    `${HEAD}${stamp}\n\n/** In base64 without padding: kernels/unpack/. */\nexport const UNPACKER = '${text}';\n`,
  );
}

async function buildUnit(unit: Unit): Promise<void> {
  const sources = readSources(unit);
  const build = fingerprint(sources, FLAGS, LINK_FLAGS, FAST_UNITS, FAST, SMALL, FLAVOURS);
  const scripts = ['interface.ts', 'pack-kernels.ts'].map((name) =>
    readFileSync(new URL(name, import.meta.url), 'utf8'),
  );
  const stamp = stampOf(build, TARGETS, scripts);
  const output = new URL(unit.output, ROOT);
  const file = (flavour: Flavour) => new URL(`im2win-${flavour}.wasm`, output);
  const shipped = unit.shipped
    ? ['build.generated.ts', 'job.generated.ts', 'entries.generated.ts', '../targets.generated.ts']
        .map((name) => new URL(name, output))
        .concat(file('strict'), file('relaxed'))
    : [];
  if ([output, ...shipped].every((url) => existsSync(url)) && readFileSync(output, 'utf8').includes(stamp)) {
    console.log(`${unit.name.padEnd(9)}up to date`);
    return;
  }
  const kernels: Partial<Record<Flavour, Uint8Array>> = {};
  for (const flavour of ['strict', 'relaxed'] as const) {
    const target = TARGETS[flavour];
    const own = {...sources, 'target.h': TABLE.header(target)};
    const stateless = tidy(await compile(own, FLAVOURS[flavour]));
    assertStateless(stateless, target);
    const bytes = Buffer.concat([stateless, identitySection({target, build})]);
    console.log(
      `${unit.name.padEnd(9)}${target.padEnd(12)}${bytes.length.toLocaleString('en').padStart(7)} bytes`,
    );
    if (unit.shipped) writeFileSync(file(flavour), bytes);
    kernels[flavour] = bytes;
  }
  if (unit.shipped) {
    const exported = WebAssembly.Module.exports(
      new WebAssembly.Module(kernels.strict as Uint8Array<ArrayBuffer>),
    );
    const entries = taskEntries(
      sources,
      exported.map(({name}) => name),
    );
    writeFileSync(new URL('entries.generated.ts', output), `${HEAD}\n${entriesModule(entries)}`);
    writeFileSync(new URL('job.generated.ts', output), `${HEAD}\n${recordsModule(sources)}`);
    writeFileSync(new URL('../targets.generated.ts', output), `${HEAD}\n${TABLE.module(TARGETS)}`);
    writeFileSync(
      new URL('build.generated.ts', output),
      `${HEAD}\n/** The build that kernel files of this version name. */\nexport const KERNEL_BUILD = '${build}';\n`,
    );
  }
  const {relaxed, strict, text} = packKernels(kernels as Record<Flavour, Uint8Array>);
  // Last: its stamp says that all is there.
  writeFileSync(
    output,
    `${HEAD}${stamp}\n\n` +
      `/** To be unpacked by src/wasm/packed.ts. */\n` +
      `export const KERNELS = {\n  relaxed: ${relaxed},\n  strict: ${strict},\n  text: '${text}',\n};\n`,
  );
}

await buildUnpacker();
for (const unit of UNITS) await buildUnit(unit);
