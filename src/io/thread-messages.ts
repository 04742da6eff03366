/** What the main thread and the I/O thread say to each other besides the rings. */
import type { IoChannel, IoCommon, ParkedAt } from './channel.js';
import type { SourceStatus } from './source.js';
import type { IoSource } from './sources.js';

export interface IoThreadData {
  readonly common: IoCommon;
}

/** From the main thread. `number` is that of the answer, where there is one. */
export type ToIoThread =
  | { readonly kind: 'addSource'; readonly id: number; readonly source: IoSource }
  | { readonly kind: 'removeSource'; readonly id: number }
  | { readonly kind: 'addClient'; readonly id: number; readonly channel: IoChannel; readonly parkedAt: ParkedAt }
  | { readonly kind: 'removeClient'; readonly id: number; readonly hasEnded: boolean }
  | { readonly kind: 'probe'; readonly number: number; readonly id: number }
  | { readonly kind: 'status'; readonly number: number }
  | { readonly kind: 'stop'; readonly number: number };

/** From the I/O thread. */
export type FromIoThread =
  | { readonly kind: 'answer'; readonly number: number; readonly result: string | readonly SourceStatus[] | undefined }
  | { readonly kind: 'failure'; readonly number: number; readonly message: string }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly text: string };
