/** Waiting for what happens once, and for no longer than one wants to. */

/** Something that happens once and can be waited for. */
export class Signal {
  set: () => void = () => {};
  readonly isSet = new Promise<void>((resolve) => {
    this.set = resolve;
  });
}

/** Waits for `work`, but no longer than `limitMs`. Returns whether it was done by then. */
export async function within(limitMs: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const isDone = await Promise.race([work.then(() => true), limit]);
  clearTimeout(timer);
  return isDone;
}

/**
 * Repeats a task until it is stopped, each time some milliseconds after the last has ended.
 * @param everyMs asked each time anew
 */
export function repeat(
  everyMs: () => number,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  let isStopped = false;
  let current = Promise.resolve();
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(() => {
      current = task()
        .catch(onError)
        .finally(() => {
          if (!isStopped) next();
        });
    }, everyMs());
  };
  next();
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      return current;
    },
  };
}
