/** Replies of Redis in the encoding of `values.ts`. Pure. */
import type { ValueWriter } from '../values.js';

/**
 * A reply as the package gives it with the types that are asked for in `redis-source.ts`: a string is a whole number in
 * decimal, a Buffer is a string. A map is a list of its keys and values in turn.
 */
export type Reply = null | boolean | number | string | Buffer | Error | readonly Reply[];

export function writeReply(writer: ValueWriter, reply: Reply): void {
  if (reply === null || reply === undefined) writer.nil();
  else if (typeof reply === 'boolean') writer.boolean(reply);
  else if (typeof reply === 'number') writer.float(reply);
  else if (typeof reply === 'string') writer.integer(reply);
  else if (Buffer.isBuffer(reply)) writer.string(reply);
  else if (reply instanceof Error) {
    // An error inside of a reply is one of its values.
    writer.map(1);
    writer.text('error');
    writer.text(reply.message);
  } else {
    const list = reply as readonly Reply[];
    writer.array(list.length);
    for (const member of list) writeReply(writer, member);
  }
}

/** The word that an error of Redis begins with, such as `OOM`; undefined when there is none. */
export function errorCodeOf(message: string): string | undefined {
  return /^([A-Z][A-Z0-9]+) /.exec(message)?.[1];
}

/** Errors after which the same may succeed when it is tried again. */
export const RETRY = new Set(['LOADING', 'BUSY', 'TRYAGAIN', 'MASTERDOWN', 'CLUSTERDOWN', 'READONLY']);
