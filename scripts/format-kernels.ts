// Formats kernels/ with clang-format, in Google's style; with --check, only says
// which files are not formatted.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {format} from '@wasm-fmt/clang-format';

const KERNELS = fileURLToPath(new URL('../kernels/', import.meta.url));
const check = process.argv.includes('--check');

const unformatted = readdirSync(KERNELS).filter((name) => {
  const source = readFileSync(KERNELS + name, 'utf8');
  const formatted = format(source, name, 'Google');
  if (formatted !== source && !check) writeFileSync(KERNELS + name, formatted);
  return formatted !== source;
});

if (check && unformatted.length > 0) {
  console.error(`Not formatted: ${unformatted.join(', ')}. Run: npm run format`);
  process.exitCode = 1;
}
