/** Words that the two threads share besides the loans, to see what they did to each other. */
export const Mark = {
  /** Who is at the connection, and how often both were. */
  INSIDE: 0,
  CLASHES: 1,
  /** Told, and really said. */
  SAID: 2,
  /** Written without Atomics, by whoever may: always the same. */
  PLAIN: 3,
  PLAIN_AGAIN: 4,
  RINGS: 5,
  IS_OVER: 6,
  HAS_ENDED: 7,
} as const;

/** How many requests have begun, were answered, and were found to be taken over. */
export const COUNTS = { begun: 8, answered: 9, lost: 10 } as const;

export interface LoansThreadData {
  readonly loans: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
}
