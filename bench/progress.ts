import {SingleBar} from 'cli-progress';

/** A bar on standard error; off a terminal a line every ten seconds. */
export function progressBar(more: string): SingleBar {
  return new SingleBar({
    format: `{bar} {percentage} %  {eta_formatted} left  ${more}`,
    hideCursor: true,
    noTTYOutput: true,
    notTTYSchedule: 10_000,
    stream: process.stderr,
  });
}
