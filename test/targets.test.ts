// The table of targets, and what is made of it.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {TargetTable} from '../scripts/targets.ts';
import {MR, NR} from '../src/cpu/tile.ts';
import {TARGETS} from '../src/targets.generated.ts';

const DEF = readFileSync(path.join(__dirname, '../kernels/targets.def'), 'utf8');
const table = new TargetTable(DEF);

const rowOf = (name: string) => new RegExp(`^${name} +(.*)$`, 'm').exec(DEF)?.[1].split(/\s+/) ?? [];
const flavours = rowOf('flavour');
/** Those that have kernels. */
const built = rowOf('target')
  .map((name, i) => ({name, flavour: flavours[i]}))
  .filter(({flavour}) => flavour !== '-');

const SMALL = `
// A comment.
target      a        b       c   d
flavour     relaxed  strict  -   relaxed

[kernels and planner]
tile.mr     6        5       3   8
[kernels]
ahead       2Ki      -       -   1
[planner]
costs.sums  1.5      0       2   3
reads       yes      yes     no  yes
`;

test('the kernels and the planner have the same of a target', () => {
  const small = new TargetTable(SMALL);
  expect(small.header('a').split('\n').slice(4)).toEqual([
    'constexpr uint32_t kMR = 6;',
    'constexpr uint32_t kAhead = 2048;',
    '',
  ]);
  expect(small.header('b')).toContain('kAhead = 0;');
  const of = (name: string, mr: number, sums: number, reads: boolean) => ({
    name,
    tile: {mr},
    costs: {sums},
    reads,
  });
  const [, json] = /TARGETS = (\{.*?\});/s.exec(small.module({relaxed: 'd', strict: 'b'})) ?? [];
  expect(JSON.parse(json)).toEqual({
    relaxed: of('d', 8, 3, true),
    strict: of('b', 5, 0, true),
    c: of('c', 3, 2, false),
  });
});

test('a build is for the first target of each flavour, or for those that are named', () => {
  const first = (flavour: string) => built.find((target) => target.flavour === flavour)?.name;
  const shipped = {relaxed: first('relaxed'), strict: first('strict')};
  expect(Object.values(shipped)).not.toContain(undefined);
  expect(table.choose([])).toEqual(shipped);
  for (const {name, flavour} of built) expect(table.choose([name])).toEqual({...shipped, [flavour]: name});
  const names = built.map(({name}) => name);
  expect(() => table.choose(['cpu'])).toThrow(`--target is 'cpu'; allowed: ${names.join(', ')}.`);
});

test('a row that is not whole, and a value that is none', () => {
  expect(() => new TargetTable(SMALL.replace(' 5 ', ''))).toThrow(
    'kernels/targets.def: tile.mr has 3 values; allowed: one for each of a, b, c, d.',
  );
  expect(() => new TargetTable(SMALL.replace('2Ki', '2k')).header('a')).toThrow("'2k' is not a value");
});

test("plain JavaScript's tile, which is unrolled by hand, is the table's", () => {
  expect(TARGETS.cpu.tile).toMatchObject({mr: MR, nr: NR});
});
