/** The messages between the main thread and the thread of the front. */

import type { FrontApi, FrontEvents, FrontSettings } from './front-api.js';
import type { Bell } from './handle.js';

export interface FrontThreadData {
  readonly settings: FrontSettings;
  readonly bell: Bell & { readonly fd: number };
  /** See `line-credits.ts`. */
  readonly lineCredits: SharedArrayBuffer;
}

/** To the front: a call of its `FrontApi`, or of its driver. Answered with a message of the same number. */
export type Call =
  | { readonly number: number; readonly name: keyof FrontApi; readonly args: readonly unknown[] }
  | { readonly number: number; readonly name: 'accept'; readonly fd: number; readonly isTcp: boolean }
  | { readonly number: number; readonly name: 'stopAccepting'; readonly fd: number }
  /** The thread ends. */
  | { readonly number: number; readonly name: 'end' };

/** An error on its way across threads, where only plain values go. */
export interface Failure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly stack?: string | undefined;
}

/** To the main thread: what a call gave or the error it threw, or an event. */
export type FromFront =
  | { readonly kind: 'answer'; readonly number: number; readonly result: unknown }
  | { readonly kind: 'failure'; readonly number: number; readonly failure: Failure }
  | { readonly kind: 'event'; readonly name: keyof FrontEvents; readonly args: readonly unknown[] };
