/** A dictionary as the configuration names it, and as workers get it. */

/** The name of the dictionary that the server keeps sessions in. No configuration can have it. */
export const SESSIONS = 'luafcgid.sessions';

export interface DictionarySettings {
  readonly name: string;
  /** The data source that it lies in; undefined: memory of this process. */
  readonly store: string | undefined;
  /** 0 where it lies elsewhere. */
  readonly sizeBytes: number;
  /** What was not used for the longest time makes room for what is new. */
  readonly evicts: boolean;
}

export interface SharedGrant extends DictionarySettings {
  readonly memory: SharedArrayBuffer;
}
