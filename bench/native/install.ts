// Installs tfjs-node. Its own install script fetches TensorFlow and a binding from hosts of its own; where
// package registries alone are reached, TensorFlow's libraries come from Maven's or Python's, and the binding is compiled
// here. Run as a program it installs, and says why it cannot.
import {execFile} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** A folder of its own: tfjs-node brings a tfjs, which the code beside it is not to find. */
const HOME = path.join(HERE, 'tfjs-node');
const PACKAGE = path.join(HOME, 'node_modules/@tensorflow/tfjs-node');
/** Kept while node_modules comes and goes. */
const BUILD = path.join(HERE, 'output');
const BINDING = path.join(BUILD, 'tfjs_binding.node');
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
const MINUTES = 60_000;

/** Where TensorFlow's libraries come from, in the order in which they are tried. */
const ARCHIVES = [
  {
    // TensorFlow 2.10.1, 117 MB.
    needs: 'mvn',
    async fetch(): Promise<string> {
      const [group, name, version, classifier] = [
        'org.tensorflow',
        'tensorflow-core-api',
        '0.5.0',
        'linux-x86_64',
      ];
      const artifact = `${group}:${name}:${version}:jar:${classifier}`;
      await run('mvn', '-q', '-B', 'dependency:get', '-Dtransitive=false', `-Dartifact=${artifact}`);
      await run('mvn', '-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${BUILD}`);
      return path.join(BUILD, `${name}-${version}-${classifier}.jar`);
    },
  },
  {
    // TensorFlow 2.12.1, 232 MB.
    needs: 'pip',
    async fetch(): Promise<string> {
      const wheel = ['--python-version', '3.11', '--platform', 'manylinux2014_x86_64', '--only-binary=:all:'];
      await run('pip', 'download', '-q', '--no-deps', ...wheel, '-d', BUILD, 'tensorflow-cpu==2.12.1');
      const file = readdirSync(BUILD).find((name) => /^tensorflow_cpu-.*\.whl$/.test(name));
      if (file === undefined) throw new Error('pip has left no wheel.');
      return path.join(BUILD, file);
    },
  },
];

/** @throws Error that says why it cannot be installed here. */
export async function installTfjsNode(): Promise<void> {
  if (!existsSync(PACKAGE)) {
    await run('npm', 'ci', '--prefix', HOME, '--ignore-scripts', '--no-audit', '--no-fund');
  }
  if (await works()) return;
  const reasons: string[] = [];
  for (const way of await waysHere()) {
    try {
      await way();
      if (await works()) return;
      reasons.push('it was built, and does not run');
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  throw new Error(reasons.join('; '));
}

/** The package's own way, from the hosts that it names, comes last. */
async function waysHere(): Promise<(() => Promise<void>)[]> {
  const ways = [() => run('npm', 'rebuild', '--prefix', HOME, '@tensorflow/tfjs-node')];
  if (process.platform !== 'linux' || process.arch !== 'x64' || !(await has('g++'))) return ways;
  const archives = [];
  for (const {needs, fetch} of ARCHIVES) if (await has(needs)) archives.push(() => build(fetch));
  return [...archives, ...ways];
}

async function build(fetch: () => Promise<string>): Promise<void> {
  mkdirSync(BUILD, {recursive: true});
  if (!LIBRARIES.every((name) => existsSync(path.join(BUILD, name)))) {
    const archive = await fetch();
    unpack(archive);
    rmSync(archive);
  }
  // Linked against empty libraries of the same names, for the linker need not read half a gigabyte. The binding
  // looks for the real ones where it is itself.
  const empty = path.join(BUILD, 'empty');
  mkdirSync(empty, {recursive: true});
  writeFileSync(path.join(empty, 'empty.cc'), '');
  const stubs = LIBRARIES.map((name) => path.join(empty, name));
  for (const [i, name] of LIBRARIES.entries()) {
    await run('g++', '-shared', '-fPIC', path.join(empty, 'empty.cc'), `-Wl,-soname,${name}`, '-o', stubs[i]);
  }
  await run(
    'g++',
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION'],
    ...['-I', path.join(HOME, 'node_modules/node-api-headers/include'), '-I', path.join(HERE, 'include')],
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => path.join(PACKAGE, 'binding', name)),
    ...['-o', BINDING, '-Wl,--no-as-needed', ...stubs, '-Wl,-rpath,$ORIGIN'],
  );
}

/** Only the libraries. */
function unpack(archive: string): void {
  interface Entry {
    readonly entryName: string;
    getData(): Buffer;
  }
  const Zip = createRequire(path.join(PACKAGE, 'package.json'))('adm-zip');
  const entries: Entry[] = new Zip(archive).getEntries();
  for (const name of LIBRARIES) {
    const entry = entries.find(({entryName}) => entryName.endsWith(`/${name}`));
    if (entry === undefined) throw new Error(`${path.basename(archive)} has no ${name}.`);
    writeFileSync(path.join(BUILD, name), entry.getData());
  }
}

/** In a process of its own: a native part that does not fit may end it. */
async function works(): Promise<boolean> {
  const own = path.join(PACKAGE, 'lib/napi-v8');
  if (existsSync(BINDING) && !existsSync(own)) {
    mkdirSync(own, {recursive: true});
    symlinkSync(BINDING, path.join(own, 'tfjs_binding.node'));
  }
  try {
    await run(process.execPath, path.join(HERE, 'check.ts'));
    return true;
  } catch {
    return false;
  }
}

const has = (command: string): Promise<boolean> =>
  run(command, '--version').then(
    () => true,
    () => false,
  );

async function run(command: string, ...args: string[]): Promise<void> {
  try {
    await promisify(execFile)(command, args, {timeout: 15 * MINUTES, maxBuffer: 2 ** 26});
  } catch (error) {
    const {stderr = '', message} = error as {stderr?: string; message: string};
    throw new Error(`${command} ${args[0]}: ${stderr.trim().split('\n').at(-1) || message}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await installTfjsNode().catch((error: Error) => {
    console.error(`not available: tfjs-node: ${error.message}`);
    process.exitCode = 1;
  });
}
