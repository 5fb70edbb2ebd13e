// What TypeScript has to know of kernels/: the records of jobs, and the entries.

const FIELD = /^FIELD\((int32_t|uint32_t|float|(?:const )?\w+\*), (\w+)\)$/;

/**
 * Where the fields of records are. A record is a .def file with a line `FIELD(type, name)` for each of its words; it is
 * named after its file: `MOVE` and `MOVE_WORDS` are kernels/move.def.
 *
 * @throws Error if a field is not a word of 32 bits.
 */
export function recordsModule(sources: Readonly<Record<string, string>>): string {
  const records = Object.entries(sources).flatMap(([file, text]) => {
    const lines = text.split('\n').filter((line) => line.startsWith('FIELD'));
    if (!file.endsWith('.def') || lines.length === 0) return [];
    const fields = lines.map((line, i) => {
      const name = FIELD.exec(line)?.[2];
      if (name === undefined) {
        throw new Error(
          `kernels/${file}: '${line}'; allowed: FIELD(type, name) in a line, type one of int32_t, uint32_t, float ` +
            'and pointers.',
        );
      }
      return `  ${name}: ${i},\n`;
    });
    const record = file.slice(0, -'.def'.length).toUpperCase();
    return [
      `/** Where the fields of kernels/${file} are in its record, in 32-bit words. */\n` +
        `export const ${record} = {\n${fields.join('')}} as const;\n\n` +
        `export const ${record}_WORDS = ${fields.length};\n`,
    ];
  });
  return records.join('\n');
}

/** An entry's name, and its parameters. */
const ENTRY = /^IM2WIN_EXPORT\((\w+)\)\s+\w+ \1\(([^)]*)\)/gm;
const TASKS = /^const \w+\* job, uint32_t first, uint32_t last(, \w+\* \w+)?$/;

/**
 * The entries that compute tasks: those of `(const T* job, uint32_t first, uint32_t last)`, and a scratch behind it
 * where they need one.
 *
 * @param exported The names of all that a module exports.
 * @throws Error if an entry that takes a job has other parameters, or if one was not found in the sources.
 */
export function taskEntries(
  sources: Readonly<Record<string, string>>,
  exported: readonly string[],
): readonly string[] {
  const entries = Object.entries(sources)
    .filter(([file]) => file.endsWith('.cpp'))
    .flatMap(([file, text]) =>
      [...text.matchAll(ENTRY)].map(([, name, parameters]) => {
        const own = parameters.replace(/\s+/g, ' ').trim();
        const hasTasks = TASKS.test(own);
        if (!hasTasks && /\bjob\b/.test(own)) {
          throw new Error(
            `kernels/${file}: ${name} takes (${own}); allowed where there is a job: ` +
              '(const T* job, uint32_t first, uint32_t last), and a pointer to the scratch behind it.',
          );
        }
        return {name, hasTasks};
      }),
    );
  const lost = exported.filter((name) => entries.every((entry) => entry.name !== name));
  if (lost.length > 0) {
    throw new Error(
      `kernels/: ${lost.join(', ')}: allowed: IM2WIN_EXPORT(name), and the function in the next line.`,
    );
  }
  return entries.filter(({hasTasks}) => hasTasks).map(({name}) => name);
}

/** The names of the entries that compute tasks. */
export function entriesModule(names: readonly string[]): string {
  return (
    '/** The entries of kernels/ that compute tasks, by the number that threads give them. */\n' +
    `export const TASK_KERNELS = [\n${names.map((name) => `  '${name}',\n`).join('')}] as const;\n\n` +
    'export type TaskKernel = (typeof TASK_KERNELS)[number];\n'
  );
}
