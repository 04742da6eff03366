/** What the debug library does not do for scripts (attacks F5, F12, F13.5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, isEmbedded, isLua54, luaError, newState, serve } from './support.js';

test('debug.getinfo refuses the option that takes numbers for functions', () => {
  const { state, run } = newState();
  for (const call of ['1, ">S"', '1, ">S", 12345', 'print, ">S"', 'coroutine.create(print), 1, "S>"']) {
    run(`function main(env, con) debug.getinfo(${call}) end`);
    assert.match(
      luaError(() => serve(state, 'main')).message,
      /script\.lua:1: bad argument #[23] to 'getinfo' \(invalid option/,
    );
  }
  state.close();
});

test('debug.getinfo and debug.traceback tell of the same levels as in stock Lua', () => {
  const { state, run } = newState();
  run(`function probe(con)
      con:puts(debug.getinfo(1, "l").currentline, " ", debug.getinfo(2, "Sl").currentline, " ")
      con:puts(debug.getinfo(1).func == probe and "same " or "other ", debug.getinfo(0).func == debug.getinfo and "itself " or "not ")
      con:puts(tostring(debug.getinfo(1000)), " ", debug.getinfo(print, "S").what ~= nil and "what" or "", "\\n")
      con:puts(debug.traceback("m", 1), "\\n", debug.traceback(), "\\n", tostring(debug.traceback({}) ~= nil))
    end
    function main(env, con)
      probe(con)
    end`);
  const [first, ...rest] = serve(state, 'main').body.split('\n');
  assert.equal(first, '2 8 same itself nil what');
  assert.match(rest.join('\n'), /^m\nstack traceback:\n\t\/srv\/script\.lua:5: in .*\n\t\/srv\/script\.lua:8: in /);
  assert.match(rest.join('\n'), /\nstack traceback:\n\t\/srv\/script\.lua:5: in [\s\S]*\ntrue$/);
  state.close();
});

test('a traceback from a level that no stack has ends at once', () => {
  const { state, run, evaluate } = newState();
  run('');
  for (const level of ['2^31', '-2^31', '2^53', '-1', '0/0']) {
    if (isLua54 && level.includes('/')) continue; // no number that stands for an integer
    assert.equal(evaluate(`#debug.traceback("x", ${level}) < 2000`), 'true');
  }
  state.close();
});

if (!isEmbedded) {
  test('scripts of native engines reach no function that loads precompiled chunks', () => {
    const { state, run } = newState();
    run(`${compatible}
      local seen, raw = {}, {}
      local bytecode = string.dump(function() return "loaded" end)
      for at = 1, 8 do string.dump(loadstring("return " .. at)) end -- the last ones may be loaded again
      local function try(f)
        for _, args in ipairs({ { bytecode }, { bytecode, "=x", "b" }, { bytecode, "=x", "bt" } }) do
          local ok, chunk = pcall(f, unpack(args))
          if ok and type(chunk) == "function" and chunk ~= f then
            local run_ok, text = pcall(chunk)
            if run_ok and text == "loaded" then raw[#raw + 1] = f end
          end
        end
      end
      local names = { load = true, loadstring = true }
      local function search(value, depth)
        if depth > 12 or seen[value] then return end
        if type(value) == "function" then
          seen[value] = true
          local info = debug.getinfo(value, "S")
          if info.what == "C" and value ~= os.exit and value ~= error then
            for name in pairs(names) do if value == _G[name] then try(value) end end
          end
          for i = 1, 80 do
            local name, upvalue = debug.getupvalue(value, i)
            if not name then break end
            if name == "loadstring" or name == "load" or name == "load_chunk" then try(upvalue) end
            search(upvalue, depth + 1)
          end
        elseif type(value) == "table" then
          seen[value] = true
          for k, v in next, value do search(k, depth + 1) search(v, depth + 1) end
          search(debug.getmetatable(value) or 0, depth + 1)
        end
      end
      function main(env, con)
        search(_G, 0) search(debug.getregistry(), 0) search(con, 0)
        debug.sethook(function()
          for level = 2, 8 do
            local info = debug.getinfo(level, "f")
            if not info then break end
            if info.func then search(info.func, 8) end
            for i = 1, 40 do
              local name, value = debug.getlocal(level, i)
              if not name then break end
              search(value, 8)
            end
          end
        end, "c")
        pcall(load, function() end) pcall(loadstring, "return 1") pcall(loadfile, "x")
        debug.sethook()
        try(load) if loadstring then try(loadstring) end
        con:puts(#raw)
      end`);
    assert.equal(serve(state, 'main').body, '0');
    state.close();
  });

  test('objects and environments of C are not exchanged in native engines', () => {
    const { state, run } = newState();
    run(`${compatible}
      local function foreign()
        if newproxy then return newproxy(true) end
        return io.tmpfile()
      end
      function main(env, con)
        local registry = debug.getregistry()
        for name, meta in pairs(registry) do
          if type(name) == "string" and type(meta) == "table" then
            local u = foreign()
            pcall(debug.setmetatable, u, meta)
            for _, f in pairs({ io.close, io.type, tostring, type(meta.__gc) == "function" and meta.__gc or nil }) do pcall(f, u) end
          end
        end
        registry["FILE*"] = {}
        pcall(function() for line in io.lines("/etc/hostname") do end end)
        local file = io.open("/etc/hostname")
        if debug.setfenv then
          pcall(debug.setfenv, file, {}) pcall(debug.setfenv, io.open, {})
          pcall(setfenv, io.open, {})
          for k in pairs(getfenv(io.open)) do if k == "__close" then getfenv(io.open)[k] = nil end end
          for k in pairs(debug.getfenv(io.open)) do if k == "__close" then debug.getfenv(io.open)[k] = nil end end
        end
        pcall(file.close, file)
        local next_match = string.gmatch("abc", ".")
        for i = 1, 4 do pcall(debug.setupvalue, next_match, i, {}) pcall(debug.setupvalue, next_match, i, 1e9) end
        pcall(next_match)
        for i = 1, 9 do pcall(debug.setupvalue, io.lines, i, {}) end
        con:puts("fine")
      end`);
    assert.equal(serve(state, 'main').body, 'fine');
    state.close();
  });

  test('unpack with limits beyond any stack is an error (attacks F12, fidelity D-A12)', () => {
    const { state, run } = newState();
    run(`${compatible}
      function main(env, con)
        for _, limits in ipairs({ { 0, 2^31 - 1 }, { -2^31, 2^31 - 1 }, { -1e9, 2e9 }, { 1, 1e7 } }) do
          con:puts(tostring(pcall(unpack, {}, limits[1], limits[2])), " ")
        end
        con:puts(select("#", unpack({ 1, 2, 3 })), select("#", unpack({}, 1, 50)), select("#", unpack({}, 2, 1)), unpack({ 7, 8 }, "2"))
      end`);
    assert.equal(serve(state, 'main').body, 'false false false false 35008');
    state.close();
  });
}
