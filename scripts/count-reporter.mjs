// A reporter for Node's test runner: how many tests passed, failed and were skipped, as JSON. Suites do not count.
export default async function* countTests(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (data?.details?.type === 'suite' || data?.skip !== undefined || data?.todo !== undefined) {
      if (type === 'test:pass' && data.details?.type !== 'suite') counts.skipped += 1;
    } else if (type === 'test:pass') counts.passed += 1;
    else if (type === 'test:fail') counts.failed += 1;
  }
  yield JSON.stringify(counts);
}
