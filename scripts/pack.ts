// The package as it would be published.
import {execFileSync} from 'node:child_process';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

export interface Tarball {
  readonly file: string;
  /** Bytes of the tarball. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly {readonly path: string; readonly size: number}[];
}

/** Packs what `npm run build` has built into a folder. */
export function packInto(folder: string): Tarball {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const root = fileURLToPath(new URL('../', import.meta.url));
  const stdout = execFileSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(stdout);
  return {...packed, file: path.join(folder, packed.filename)};
}
