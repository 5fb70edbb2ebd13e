// A module that has nothing of its own but code is safe on a heap that it does not own, and on several
// threads at once.

const SECTIONS = [
  'custom',
  'type',
  'import',
  'function',
  'table',
  'memory',
  'global',
  'export',
  'start',
  'element',
  'code',
  'data',
  'data count',
];
const ALLOWED = new Set(['custom', 'type', 'import', 'function', 'export', 'code']);

/** The names of a module's sections, in their order. */
export function sectionNames(bytes: Uint8Array): string[] {
  const names: string[] = [];
  for (let at = 8; at < bytes.length; ) {
    names.push(SECTIONS[bytes[at++]] ?? 'unknown');
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return names;
}

/** @throws Error if the module keeps state, or imports more than its memory. */
export function assertStateless(bytes: Uint8Array, name: string): void {
  const kept = sectionNames(bytes).filter((section) => !ALLOWED.has(section));
  if (kept.length > 0) {
    throw new Error(`The ${name} module is not stateless: it has a ${kept.join(' section, a ')} section.`);
  }
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(Uint8Array.from(bytes)));
  const allowed = imports.every(({module, name: field}) => module === 'env' && field === 'memory');
  if (!allowed) {
    throw new Error(`The ${name} module imports ${JSON.stringify(imports)}; it may import env.memory only.`);
  }
}
