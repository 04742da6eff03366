/** Profiles of pages: requests that are repeated while the stacks of their scripts are looked at. */
import { renderProfile } from '../profile/flame-graph.js';
import { Stacks } from '../profile/stacks.js';
import type { Server } from '../server/server.js';

/** For how long a request that may be repeated is. */
const REPEAT_MS = 1_000;
/** A profile of more requests says nothing more. */
const MOST_REQUESTS = 10_000;

export interface Profiled<Result> {
  /** A page. */
  readonly html: string;
  /** Of the first request. */
  readonly first: Result;
}

/**
 * Makes requests, one after the other, and a page that shows where their time went.
 * @param repeats whether the request may be made again and again
 */
export async function profile<Result>(
  server: Pick<Server, 'sample'>,
  { title, repeats }: { readonly title: string; readonly repeats: boolean },
  request: () => Promise<Result>,
): Promise<Profiled<Result>> {
  const stacks = new Stacks();
  const startedMs = performance.now();
  const passedMs = (): number => performance.now() - startedMs;
  const end = server.sample((traceback, isWaiting) => stacks.add(traceback, isWaiting));
  try {
    const first = await request();
    let requests = 1;
    while (repeats && passedMs() < REPEAT_MS && requests < MOST_REQUESTS) {
      await request();
      requests += 1;
    }
    return { html: renderProfile(stacks, { title, requests, durationMs: passedMs() }), first };
  } finally {
    end();
  }
}
