/** A dictionary as the configuration names it, and as workers get it. */

export interface DictionarySettings {
  readonly name: string;
  readonly sizeBytes: number;
  /** What was not used for the longest time makes room for what is new. */
  readonly evicts: boolean;
}

export interface SharedGrant extends DictionarySettings {
  readonly memory: SharedArrayBuffer;
}
