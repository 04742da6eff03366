/** What the process holds after workers were lost: no more than before. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

function residentBytes({ pid }: Server): number {
  const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) as RegExpExecArray;
  return Number(kib) * 1024;
}

const WORKERS = 10;

describe('ten lost workers', () => {
  it('leave the resident size within 20 % of before (attacks F6)', async (t) => {
    const server = await startServer(t, {
      config: `workers = ${WORKERS} states = ${WORKERS} clones = ${WORKERS} memory = 64 * 2^20`,
      files: {
        // Memory and a number that each state holds, and a pattern that cannot be stopped.
        'hang.lua': `held = ("x"):rep(2^10):rep(2^10):rep(8)
          function main(env, con)
            if env.QUERY_STRING == "hang" then
              con:config("watchdog", 0.5)
              string.find(("a"):rep(3000), ".-.-.-.-.-b")
            end
            local till = os.clock() + 0.05
            while os.clock() < till do end
            number = number or math.random(1e9)
            con:puts(#held, " ", number)
          end`,
      },
    });
    const askAll = (query: string) =>
      Promise.all(Array.from({ length: WORKERS }, () => ask(server, 'hang.lua', { params: { QUERY_STRING: query } })));
    /** Makes as many states as there may be: what they hold is the same before and after. */
    const fill = async (): Promise<void> => {
      const states = new Set<string>();
      await eventually('all states', async () => {
        for (const { status, text } of await askAll('')) if (status === 200) states.add(text);
        return states.size === WORKERS;
      });
    };
    await fill();
    const before = residentBytes(server);
    for (const { status } of await askAll('hang')) assert.equal(status, 504);
    await eventually('the losses', () => server.log().split('LUAFCGID_SCRIPT_HANGS').length > WORKERS);
    await fill();
    await eventually('the memory', () => {
      t.diagnostic(`${before >> 20} MiB before, ${residentBytes(server) >> 20} after`);
      return residentBytes(server) <= 1.2 * before;
    });
  });
});
