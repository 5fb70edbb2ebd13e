// Runs a bundle of specs under jasmine and sends the result to its parent.
// @ts-expect-error The package has no types of its own.
import Jasmine from 'jasmine';

export interface SpecResult {
  passed: string[];
  failed: {name: string; message: string}[];
  /** Calls that the plugin computed; 0 without it. */
  convolutionsTaken: number;
}

/** What jasmine tells of a spec; its own types would clash with jest's. */
interface SpecDone {
  readonly fullName: string;
  readonly status: string;
  readonly failedExpectations: readonly {readonly message: string}[];
}

const result: SpecResult = {passed: [], failed: [], convolutionsTaken: 0};
const names = new Map<string, number>();

const jasmine = new Jasmine();
jasmine.exitOnCompletion = false;
jasmine.clearReporters();
jasmine.configureEnv({random: false});
jasmine.addReporter({
  specDone({fullName, status, failedExpectations}: SpecDone) {
    // Names may repeat: the n-th of a name is another spec.
    const count = (names.get(fullName) ?? 0) + 1;
    names.set(fullName, count);
    const name = count === 1 ? fullName : `${fullName} (${count})`;
    if (status === 'passed') result.passed.push(name);
    if (status === 'failed') result.failed.push({name, message: failedExpectations[0]?.message ?? ''});
  },
});
await jasmine.execute([process.argv[2]]);

interface Registration {
  report(): {algorithm: string; calls: number}[];
}
const {im2winRegistration} = globalThis as {im2winRegistration?: Registration};
for (const {algorithm, calls} of im2winRegistration?.report() ?? []) {
  if (algorithm !== 'stock') result.convolutionsTaken += calls;
}
process.send?.(result, () => process.exit());
