// Reads kernels/targets.def, and writes what C++ and TypeScript have of it.
import type {Flavour} from '../src/plan.ts';

/** A row of the table: a value for each target. */
interface Row {
  /** `group.name`, or a name alone. */
  readonly name: string;
  /** Who reads it. */
  readonly section: string;
  readonly values: ReadonlyMap<string, string>;
}

/** The targets of a build: one for each flavour. */
export type BuildTargets = Readonly<Record<Flavour, string>>;

export class TargetTable {
  /** Each target's flavour, `-` for plain JavaScript, in the order of their columns. */
  private readonly flavours: ReadonlyMap<string, string>;
  private readonly rows: readonly Row[];

  /** @throws Error if a row has not a value for each target. */
  constructor(def: string) {
    const lines = def.split('\n').filter((line) => line !== '' && !line.startsWith('//'));
    const [[, ...names], ...rows] = lines.map((line) => line.trim().split(/\s+/));
    let section = '';
    this.rows = rows.flatMap(([name, ...values]) => {
      if (name.startsWith('[')) {
        section = [name, ...values].join(' ');
        return [];
      }
      if (values.length !== names.length) {
        throw new Error(
          `kernels/targets.def: ${name} has ${values.length} values; allowed: one for each of ${names.join(', ')}.`,
        );
      }
      return [{name, section, values: new Map(names.map((target, i) => [target, values[i]]))}];
    });
    this.flavours = this.rows[0].values;
  }

  /**
   * The targets that a build is for: those named, and the first of each other flavour.
   *
   * @throws Error if one of them has no kernels.
   */
  choose(named: readonly string[]): BuildTargets {
    const allowed = [...this.flavours.keys()].filter((name) => this.flavours.get(name) !== '-');
    for (const name of named) {
      if (!allowed.includes(name)) throw new Error(`--target is '${name}'; allowed: ${allowed.join(', ')}.`);
    }
    const of = (flavour: Flavour) =>
      [...named, ...allowed].find((name) => this.flavours.get(name) === flavour) as string;
    return {relaxed: of('relaxed'), strict: of('strict')};
  }

  /** A target as the kernels include it. */
  header(target: string): string {
    const constants = this.rowsFor('kernels').map(
      ({name, values}) => `constexpr uint32_t ${constantName(name)} = ${readValue(values.get(target))};\n`,
    );
    return `#pragma once\n\n#include <stdint.h>\n\n${constants.join('')}`;
  }

  /** A build's targets as the planner imports them: by flavour, and plain JavaScript's by name. */
  module(build: BuildTargets): string {
    const plain = [...this.flavours.keys()].filter((name) => this.flavours.get(name) === '-');
    const keys = Object.entries({...build, ...Object.fromEntries(plain.map((name) => [name, name]))});
    const targets = Object.fromEntries(keys.map(([key, name]) => [key, this.fields(name)]));
    return (
      `/** What plans are made for: kernels/targets.def. */\n` +
      `export const TARGETS = ${JSON.stringify(targets, undefined, 2)};\n\n` +
      `export type Target = (typeof TARGETS)['relaxed'];\n`
    );
  }

  private fields(target: string) {
    const fields: Record<string, unknown> = {name: target};
    for (const {name, values} of this.rowsFor('planner')) {
      const value = readValue(values.get(target));
      const [group, own] = name.split('.');
      fields[group] = own === undefined ? value : {...(fields[group] as object), [own]: value};
    }
    return fields;
  }

  private rowsFor(reader: 'kernels' | 'planner'): readonly Row[] {
    return this.rows.filter(({section}) => section.includes(reader));
  }
}

/** `kNearFilterBytes`; `kMR`. */
function constantName(name: string): string {
  const own = name.slice(name.indexOf('.') + 1);
  return `k${own.length === 2 ? own.toUpperCase() : own[0].toUpperCase() + own.slice(1)}`;
}

function readValue(text = ''): number | boolean {
  if (text === 'yes' || text === 'no') return text === 'yes';
  if (text === '-') return 0;
  const [, digits, unit] = /^([\d.]+)(Ki|Mi)?$/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`kernels/targets.def: '${text}' is not a value.`);
  return Number(digits) * (unit === 'Ki' ? 2 ** 10 : unit === 'Mi' ? 2 ** 20 : 1);
}
