/** Scripts that run too long, with every engine: each costs its own request, at most its worker, and nothing else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineNames } from '../../src/lua/engine-names.js';
import { startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** What LuaJIT compiles cannot be stopped inside of Lua: these are about its interpreter. */
const OFF = 'if jit then jit.off() end\n';

/** A script that counts its requests, which shows whether its state lives on. */
const script = (work: string): string => `${OFF}
count = 0
function main(env, con)
  count = count + 1
  if env.QUERY_STRING == "count" then return con:puts(count) end
  ${work}
end`;

/** Ways to run for ever that are stopped inside of Lua. */
const STOPPED: Readonly<Record<string, string>> = {
  'an empty loop': 'while true do end',
  'a loop that works': 'local t = {} while true do t[1] = (t[1] or 0) + 1 end',
  'a loop that makes garbage': 'while true do local t = { {} } end',
  'loops that catch errors':
    'while true do pcall(function() while true do pcall(error) local s = tostring({}) end end) end',
  'a coroutine': 'coroutine.wrap(function() while true do end end)()',
  'coroutines in coroutines': `while true do
    pcall(coroutine.wrap(function()
      pcall(coroutine.wrap(function() while true do local t = {} end end))
      while true do end
    end))
  end`,
  'a loop without the hook': 'debug.sethook() while true do end',
  'an endless recursion of tail calls': 'local function f() return f() end f()',
  'a loop that waits for no body': 'while true do con:gets() end',
};

describe('a script that runs too long', () => {
  for (const engine of engineNames) {
    describe(engine, () => {
      const server = shared((t) =>
        startServer(t, {
          config: `engine = "${engine}"; workers = 1; clones = 1; watchdog = 0.1; watchdogmax = 0; showerrors = true`,
          files: Object.fromEntries(Object.values(STOPPED).map((work, at) => [`${at}.lua`, script(work)])),
        }),
      );
      const count = (name: string) => ask(server(), name, { params: { QUERY_STRING: 'count' } });
      /** Has a script loaded, for which a busy machine may take longer than the limit. @returns its count of requests */
      const loaded = (name: string): Promise<number> =>
        eventually('its state', async () => {
          const { status, text } = await count(name);
          return status === 200 && Number(text);
        });
      for (const [at, name] of Object.keys(STOPPED).entries()) {
        it(`is stopped in ${name}, and its state lives on`, async () => {
          await eventually('the stop', async () => {
            const before = await loaded(`${at}.lua`);
            const stopped = await ask(server(), `${at}.lua`);
            assert.equal(stopped.status, 504);
            // On a busy machine it may cost its worker, as what cannot be stopped does.
            if (stopped.text.includes('could not be stopped')) return false;
            assert.match(stopped.text, /the script ran for more than 0\.1 s \(watchdog\) and was stopped/);
            assert.equal((await count(`${at}.lua`)).text, String(before + 2));
            return true;
          });
        });
      }

      it('has its Lua stack logged', async () => {
        server().write('stack.lua', script('local function deep() while true do end end\n deep()'));
        const stack = /stack\.lua\] LUAFCGID_SCRIPT_TIMEOUT: [^\n]*\n[^[]*stack traceback:[^[]*stack\.lua:7: in /;
        // On a busy machine its time may be over before it comes to the loop.
        await eventually('its stack', async () => {
          assert.equal((await ask(server(), 'stack.lua')).status, 504);
          return stack.test(server().log());
        });
      });

      it('is stopped while it is loaded', async () => {
        server().write('load.lua', `${OFF}while true do end`);
        assert.equal((await ask(server(), 'load.lua')).status, 504);
      });

      it('has another limit when it says so', async () => {
        server().write(
          'longer.lua',
          `${OFF}function main(env, con)
          con:config("watchdog", tonumber(env.QUERY_STRING))
          local till = os.clock() + 0.5
          while os.clock() < till do end
          con:puts("done ", con:config("watchdog"))
        end`,
        );
        const of = async (seconds: string) => ask(server(), 'longer.lua', { params: { QUERY_STRING: seconds } });
        // On a busy machine a script may come to say so only when its time is over.
        for (const seconds of ['30', '0'])
          await eventually('the other limit', async () => (await of(seconds)).text === `done ${seconds}`);
        await eventually('the limit', async () => /ran for more than 0\.15 s/.test((await of('0.15')).text));
      });

      it('is stopped after con:finish(), too', async () => {
        server().write('after.lua', script('con:puts("early") con:finish() while true do end'));
        await eventually('the stop', async () => {
          const before = await loaded('after.lua');
          const logged = server().log().length;
          assert.equal((await ask(server(), 'after.lua')).text, 'early');
          const sign = /after\.lua\] LUAFCGID_SCRIPT_TIMEOUT|after\.lua does not stop/;
          const [found] = await eventually('its end', () => sign.exec(server().log().slice(logged)) ?? undefined);
          // On a busy machine it may cost its worker, as what cannot be stopped does.
          if (found.endsWith('does not stop')) return false;
          assert.equal((await count('after.lua')).text, String(before + 2));
          return true;
        });
      });

      it('costs its worker when it cannot be stopped: 504, and a fresh worker at once', async () => {
        server().write(
          'hang.lua',
          `function main(env, con)
          if env.QUERY_STRING == "hang" then string.find(("a"):rep(3000), ".-.-.-.-.-b") end
          con:puts("alive")
        end`,
        );
        const lives = () => eventually('its state', async () => (await ask(server(), 'hang.lua')).text === 'alive');
        await lives();
        const hung = await ask(server(), 'hang.lua', { params: { QUERY_STRING: 'hang' } });
        assert.equal(hung.status, 504);
        await server().logged(/LUAFCGID_SCRIPT_HANGS: \S*hang\.lua ran for/);
        await lives();
        // A thread that hangs in native code has the program replaced. A signal that comes meanwhile ends it.
        if (engine !== 'embedded') await server().logged(/LUAFCGID_SERVER_RESTARTS[\s\S]*ready: listening/);
      });
    });
  }
});
