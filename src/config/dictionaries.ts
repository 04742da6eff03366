/** The option `shared`: names and sizes of dictionaries, with every fault. Pure. */

import { nearestName } from '../base/nearest-name.js';
import type { LuaValue } from '../lua/state.js';
import { LEAST_BYTES, MOST_BYTES } from '../shared/layout.js';
import type { DictionarySettings } from '../shared/settings.js';
import { isList, shortLiteral } from './literal.js';

export const DICTIONARIES_ALLOWED =
  'a table of names and sizes in bytes, from 32 KiB to 1 GiB, or of tables like { size = 64 * 2^20, evict = true } and { store = "NAME OF A DATA SOURCE" }';

const FIELDS = ['size', 'evict', 'store'];

/** Takes note of a fault. */
type Report = (shown: string, allowed: string, remedy: string) => void;

export function readDictionaries(value: LuaValue, report: Report): readonly DictionarySettings[] {
  if (isList(value) ? value.length > 0 : typeof value !== 'object') {
    report(shortLiteral(value), DICTIONARIES_ALLOWED, 'Write shared = { cache = 64 * 2^20 }.');
    return [];
  }
  return Object.entries(value as Readonly<Record<string, LuaValue>>).flatMap(
    ([name, member]): readonly DictionarySettings[] => {
      const fault = (shown: string, allowed: string, remedy: string): [] => {
        report(`${name}: ${shown}`, allowed, remedy);
        return [];
      };
      if (!/^[A-Za-z_]\w{0,63}$/.test(name)) {
        report(shortLiteral(name), 'a table whose names are letters and digits', 'Give the dictionary another name.');
        return [];
      }
      const fields = typeof member === 'object' && !isList(member) ? member : { size: member };
      const unknown = Object.keys(fields).find((field) => !FIELDS.includes(field));
      if (unknown !== undefined) {
        const meant = nearestName(unknown, FIELDS);
        const remedy = meant === undefined ? `Remove ${unknown}.` : `Did you mean ${meant}?`;
        return fault(unknown, 'a table with the fields size, evict and store only', remedy);
      }
      const { size, evict, store } = fields as Readonly<Record<string, LuaValue>>;
      if (store !== undefined) {
        if (typeof store !== 'string') {
          return fault(`store = ${shortLiteral(store)}`, 'the name of a data source', 'Write store = "NAME".');
        }
        if (size !== undefined || evict !== undefined) {
          return fault(
            `store = ${shortLiteral(store)}`,
            'without size and evict',
            'Remove them: the data source has its own.',
          );
        }
        return [{ name, store, sizeBytes: 0, evicts: false }];
      }
      if (typeof size !== 'number' || !Number.isInteger(size) || size < LEAST_BYTES || size > MOST_BYTES) {
        return fault(
          `size = ${shortLiteral(size)}`,
          `a whole number of bytes from ${LEAST_BYTES} (32 KiB) to ${MOST_BYTES} (1 GiB)`,
          'Write the size in bytes, as 64 * 2^20 for 64 MiB.',
        );
      }
      if (evict !== undefined && typeof evict !== 'boolean')
        return fault(`evict = ${shortLiteral(evict)}`, 'true or false', 'Write evict = true.');
      return [{ name, store: undefined, sizeBytes: size, evicts: evict === true }];
    },
  );
}
