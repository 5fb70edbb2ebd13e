import {readFileSync} from 'node:fs';

/** @returns The most memory, in bytes, that this process has held. */
export function peakBytes(): number {
  // Linux begins maxRSS with that of the process which started this one.
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
  return Number(kibibytes) * 1024;
}
