// A plugin of the bundler: writes the licences of the libraries that are bundled to a file, which they ask for.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import type {Plugin} from 'rolldown';

const HEAD = `The licences of what cli.mjs, the command, has in it. The other files of this folder have nothing of others.
`;

/** One plugin for all builds of a folder, since they share the file. */
export function licensesPlugin(file: string): Plugin {
  const texts = new Set<string>(); // A package may be there twice.
  return {
    name: 'licenses',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((output) =>
        output.type === 'chunk' ? output.moduleIds : [],
      );
      for (const folder of new Set(modules.map(packageOf))) {
        if (folder !== undefined) texts.add(licenseOf(folder));
      }
    },
    writeBundle() {
      writeFileSync(file, [HEAD, ...[...texts].sort()].join(`\n${'-'.repeat(72)}\n\n`));
    },
  };
}

/** The folder of the package that a module is of; undefined for our own. */
function packageOf(module: string): string | undefined {
  return module.match(/^.*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/)?.[0];
}

function licenseOf(folder: string): string {
  const {name, version, license} = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((one) => /^(licen[cs]e|.*notice)\b/i.test(one));
  if (files.length === 0) throw new Error(`${name} has no file with its licence, which is to be shipped.`);
  return [
    `${name} ${version}, ${license}`,
    ...files.map((one) => readFileSync(path.join(folder, one), 'utf8')),
  ].join('\n\n');
}
