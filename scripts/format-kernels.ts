// Formats the C++ with clang-format, in Google's style; with --check, only says
// which files are not formatted.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {format} from '@wasm-fmt/clang-format';

const FOLDERS = ['kernels/', 'kernels/unpack/', 'bench/kernels/'].map((folder) =>
  fileURLToPath(new URL(`../${folder}`, import.meta.url)),
);
const check = process.argv.includes('--check');

const files = FOLDERS.flatMap((folder) =>
  readdirSync(folder, {withFileTypes: true})
    .filter((entry) => entry.isFile())
    .map(({name}) => folder + name),
);
const unformatted = files.filter((file) => {
  const source = readFileSync(file, 'utf8');
  const formatted = format(source, file, 'Google');
  if (formatted !== source && !check) writeFileSync(file, formatted);
  return formatted !== source;
});

if (check && unformatted.length > 0) {
  console.error(`Not formatted: ${unformatted.join(', ')}. Run: npm run format`);
  process.exitCode = 1;
}
