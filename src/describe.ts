/** A value as an error shows it. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  if (tagOf(value) !== '[object Object]') return tagOf(value);
  return `{${Object.entries(value)
    .map(([key, one]) => `${key}: ${describe(one)}`)
    .join(', ')}}`;
}

/** What an object is, even if it comes from another realm (a frame, a worker). */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

/** What a check throws. Its text names an argument, its value and what is allowed; `namingOp` adds the op. */
export class InvalidArgument extends Error {}

/** Runs checks of an op's arguments, whose errors then name it. */
export function namingOp<T>(op: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof InvalidArgument ? new Error(`${op}: ${error.message}`) : error;
  }
}
