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

/** @throws InvalidArgument unless it is one of those that are allowed. */
export function checkOneOf(name: string, value: unknown, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return;
  throw new InvalidArgument(`${name} is ${describe(value)}; allowed: ${allowed.map(describe).join(', ')}.`);
}

/** @throws InvalidArgument unless they are an object that has no others than these. */
export function checkNames(options: unknown, allowed: readonly string[], what = 'an object'): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidArgument(`options is ${describe(options)}; allowed: ${what}.`);
  }
  for (const name of Object.keys(options)) checkOneOf('an option', name, allowed);
}
