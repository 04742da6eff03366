/** Options: what the C daemon had and this server has no use for. */
import type { OptionRow } from '../option.js';
import { GIB, KIB } from '../units.js';

export const withoutEffect = {
  retries: {
    key: 'retries',
    group: 'Without effect',
    type: 'integer',
    min: 0,
    max: 2 ** 31 - 1,
    default: 2,
    fromC: true,
    script: 'read',
    notice: { text: 'no effect: a request is handed an idle state at once, and no search is repeated' },
    summary: 'Accepted; no effect.',
    text: 'The C daemon searched its pool this often before it made a new state. Here nothing is searched.',
  },
  headersize: {
    key: 'headerSizeBytes',
    group: 'Without effect',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: GIB,
    default: 64,
    fromC: true,
    script: 'read',
    summary: 'Accepted; no effect.',
    text: 'The size that the buffer for response headers started with. Buffers now grow as they need.',
  },
  bodysize: {
    key: 'bodySizeBytes',
    group: 'Without effect',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: GIB,
    default: KIB,
    fromC: true,
    script: 'read',
    summary: 'Accepted; no effect.',
    text: 'The size that the buffer for the answer started with. Buffers now grow as they need; see `outputbuffer`.',
  },
} as const satisfies Record<string, OptionRow>;
