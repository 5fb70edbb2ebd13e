// Packs the package and checks the tarball: its files, what publint and
// @arethetypeswrong/cli say of it, the size of each entry, and what bundlers can leave out.
import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import Table from 'cli-table3';
import {Command} from 'commander';
import {build} from 'esbuild';
import {publint} from 'publint';
import {formatMessage} from 'publint/utils';
import {packInto, type Tarball} from './pack.ts';

/** What a user needs. The files with a hash in their names are shared by the entries. */
const FILES = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^dist\/(index|auto|slim|optimize)\.(js|cjs|d\.ts|d\.cts)$/,
  /^dist\/\w+-[\w-]{8}\.(js|cjs|d\.ts|d\.cts)$/,
  /^dist\/im2win\.min\.js$/,
  /^dist\/im2win-worker\.js$/,
  /^dist\/im2win-(strict|relaxed)\.wasm$/,
  /^dist\/cli\.mjs$/,
  /^dist\/LICENSES\.txt$/,
];

/** The most bytes that an import may come to, minified and gzipped, without tfjs. */
const IMPORTS = [
  {code: "export * from 'tfjs-im2win'", most: 115_000},
  {code: "export * from 'tfjs-im2win/auto'", most: 115_000},
  {code: "export * from 'tfjs-im2win/slim'", most: 56_300},
  {code: "export * from 'tfjs-im2win/optimize'", most: 13_200},
  {code: "export {im2winConv2d} from 'tfjs-im2win'", most: 6_300},
  {code: "import 'tfjs-im2win'", most: 20}, // gzip's own bytes.
  {code: "import 'tfjs-im2win/slim'", most: 20},
];

/** The most bytes that the files of the default entry may come to as they are shipped, gzipped. */
const MOST_SHIPPED = 165_500;

await new Command('npm run check:package --')
  .description(
    'Packs the package, and checks its files, publint, @arethetypeswrong/cli, and sizes. Needs `npm run build`.',
  )
  .action(check)
  .parseAsync();

async function check(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tfjs-im2win-package-'));
  try {
    const tarball = packInto(folder);
    // Where an import of the package finds it.
    const root = path.join(folder, 'node_modules/tfjs-im2win');
    mkdirSync(root, {recursive: true});
    execFileSync('tar', ['-xf', tarball.file, '-C', root, '--strip-components', '1']);
    const complaints = [
      ...filesComplaints(tarball),
      ...(await publintComplaints(root, tarball)),
      ...attwComplaints(tarball),
      ...shippedComplaints(root),
      ...(await importComplaints(folder)),
    ];
    for (const complaint of complaints) console.error(`error: ${complaint}`);
    if (complaints.length > 0) process.exitCode = 1;
    else console.log('check:package: nothing to complain of.');
  } finally {
    rmSync(folder, {recursive: true});
  }
}

function filesComplaints({files, size, unpackedSize}: Tarball): string[] {
  const table = tableOf(['file', 'bytes']);
  for (const file of files) table.push([file.path, count(file.size)]);
  table.push(['unpacked', count(unpackedSize)], ['packed', count(size)]);
  console.log(table.toString());
  const missing = FILES.filter((pattern) => !files.some((file) => pattern.test(file.path)));
  const needless = files.filter((file) => !FILES.some((pattern) => pattern.test(file.path)));
  return [
    ...missing.map((pattern) => `the tarball has no file like ${pattern}.`),
    ...needless.map(
      (file) => `the tarball has ${file.path}, which is not in the list of scripts/check-package.ts.`,
    ),
  ];
}

async function publintComplaints(root: string, {file}: Tarball): Promise<string[]> {
  const {messages} = await publint({
    pack: {tarball: new Uint8Array(readFileSync(file)).buffer},
    strict: true,
  });
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  return messages.map((message) => `publint: ${formatMessage(message, manifest)}`);
}

function attwComplaints(tarball: Tarball): string[] {
  // The workers' script is for a URL: nobody imports it.
  const options = ['--no-emoji', '--no-color', '--exclude-entrypoints', 'im2win-worker.js'];
  const result = spawnSync('attw', [tarball.file, ...options], {encoding: 'utf8'});
  console.log(result.stdout);
  return result.status === 0 ? [] : [`@arethetypeswrong/cli: see above. ${result.stderr}`];
}

/** The files of the default entry as they are, comments and all. */
function shippedComplaints(root: string): string[] {
  const table = tableOf(['entry, as shipped', 'bytes', 'gzipped']);
  const sizes = ['index.js', 'index.cjs', 'auto.js', 'slim.js', 'im2win.min.js'].map((entry) => {
    const files = [...reachable(path.join(root, 'dist', entry))].map((file) => readFileSync(file));
    const bytes = files.reduce((sum, file) => sum + file.length, 0);
    const gzipped = files.reduce((sum, file) => sum + gzip(file), 0);
    table.push([`dist/${entry}`, count(bytes), count(gzipped)]);
    return {entry, gzipped};
  });
  console.log(table.toString());
  return sizes
    .filter(({gzipped}) => gzipped > MOST_SHIPPED)
    .map(
      ({entry, gzipped}) =>
        `dist/${entry} has ${count(gzipped)} bytes gzipped; allowed: ${count(MOST_SHIPPED)}.`,
    );
}

/** A file of the package, and those that it imports. */
function reachable(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/(?:from |require\()"(\.\/[^"]+)"/g);
  for (const [, name] of imports) reachable(path.join(path.dirname(file), name), seen);
  return seen;
}

async function importComplaints(folder: string): Promise<string[]> {
  const table = tableOf(['import', 'minified', 'gzipped', 'at most']);
  const complaints: string[] = [];
  for (const {code, most} of IMPORTS) {
    const {outputFiles} = await build({
      stdin: {contents: code, resolveDir: folder},
      bundle: true,
      minify: true,
      format: 'esm',
      write: false,
      // tfjs-core is not there to say that it has no side effects either.
      external: ['@tensorflow/*'],
      logLevel: 'error',
    });
    const {contents} = outputFiles[0];
    const gzipped = gzip(contents);
    table.push([code, count(contents.length), count(gzipped), count(most)]);
    if (gzipped > most) {
      complaints.push(
        `${code} comes to ${count(gzipped)} bytes minified and gzipped; allowed: ${count(most)}.`,
      );
    }
  }
  console.log(table.toString());
  return complaints;
}

/** One column of text, and columns of figures. */
function tableOf(head: string[]): Table.Table {
  return new Table({
    head,
    colAligns: head.map((_, i) => (i === 0 ? 'left' : 'right')),
    style: {head: [], border: [], compact: true},
  });
}

function gzip(bytes: Uint8Array): number {
  return gzipSync(bytes, {level: 9}).length;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
