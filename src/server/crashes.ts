/** What is said of an error that ends the process. */

/**
 * An error that nothing catches is logged, and then ends the process: nothing is known about the state it is in.
 * @returns what ends that
 */
export function reportCrashes(report: (error: unknown) => void): () => void {
  process.on('uncaughtExceptionMonitor', report);
  return () => void process.off('uncaughtExceptionMonitor', report);
}
