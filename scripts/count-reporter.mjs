// A reporter for Node's test runner: as JSON, how many tests passed, failed and were skipped, and what the failed ones said.
// Suites do not count.
import { inspect } from 'node:util';

export default async function* countTests(events) {
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for await (const { type, data } of events) {
    // A suite fails with its tests, which are reported themselves. One that fails by its own hooks is a failure of its own.
    if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed')
      counts.failures.push(failureOf(data));
    if (data?.details?.type === 'suite' || data?.skip !== undefined || data?.todo !== undefined) {
      if (type === 'test:pass' && data.details?.type !== 'suite') counts.skipped += 1;
    } else if (type === 'test:pass') counts.passed += 1;
    else if (type === 'test:fail') counts.failed += 1;
  }
  yield JSON.stringify(counts);
}

function failureOf({ name, file, line, details }) {
  const { error } = details;
  return `${name}\n  at ${file ?? 'an unknown file'}:${line ?? '?'}\n${inspect(error?.cause ?? error)}`;
}
