/** The memory that all workers share. It outlives workers and reloads. */
import { randomInt } from 'node:crypto';
import type { Config } from '../config/load.js';
import { createDictionary, type DictionaryStatus, readStatus } from '../shared/dictionary.js';
import { createLocks } from '../shared/lock-memory.js';
import { type DictionarySettings, SESSIONS, type SharedGrant } from '../shared/settings.js';

/** The dictionary for sessions, where they are kept in memory. */
export function sessionMemory({ sessions: { store, size } }: Config): readonly DictionarySettings[] {
  return store === 'memory' ? [{ name: SESSIONS, sizeBytes: size, evicts: false, store: undefined }] : [];
}

const WORDS = 2 ** 32;

const secrets = (): [number, number] => [randomInt(WORDS) | 0, randomInt(WORDS) | 0];

export class SharedMemory {
  /** The locks of all requests. */
  readonly locks = createLocks(secrets());
  #grants: readonly SharedGrant[] = [];

  /** The dictionaries of the configuration in service. */
  get grants(): readonly SharedGrant[] {
    return this.#grants;
  }

  /**
   * The dictionaries of a configuration. One that is there already, with the same size, keeps what it holds; one of another
   * size begins empty.
   */
  grant(wanted: readonly DictionarySettings[]): readonly SharedGrant[] {
    return wanted.flatMap((settings) => {
      if (settings.store !== undefined) return [];
      const { name, sizeBytes } = settings;
      const known = this.#grants.find((grant) => grant.name === name && grant.sizeBytes === sizeBytes);
      const memory = known?.memory ?? createDictionary(sizeBytes, secrets());
      return { ...settings, memory };
    });
  }

  /** What the dictionaries in service hold, and have done. */
  status(): readonly (DictionaryStatus & { readonly name: string })[] {
    return this.#grants.map(({ name, memory }) => ({ name, ...readStatus(memory) }));
  }

  /** These are in service from now on; all others are forgotten. */
  use(grants: readonly SharedGrant[]): void {
    this.#grants = grants;
  }
}
