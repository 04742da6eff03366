/** luafcgid.template in every engine: its language, what is escaped, what it sees, and where errors are told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEmbedded, luaError, newState, serve } from './support.js';

/** A page of these files, put with these values, given as Lua source. */
function page(files: Readonly<Record<string, string>>, values = '{}', memoryBytes = 64 << 20): string {
  const at = Object.fromEntries(Object.entries(files).map(([name, text]) => [`/srv/${name}`, text]));
  const { state, run } = newState({ memoryBytes }, at);
  try {
    run(`local template = require("luafcgid.template")
      function main(env, con)
        local values = ${values}
        con:puts("(") template.puts(con, "page", values) con:puts(")")
        assert(template.render("page", values) == template.render("page", values))
      end
      function text(env, con) con:puts("(", template.render("page", ${values}), ")") end`);
    const { body } = serve(state, 'main');
    assert.equal(serve(state, 'text').body, body, 'render gives what puts writes');
    assert.equal(serve(state, 'main').body, body, 'the second page is as the first');
    return body.slice(1, -1);
  } finally {
    state.close();
  }
}

/** The message of the error that a page ends with. */
function message(files: Readonly<Record<string, string>>, values = '{}'): string {
  return luaError(() => page(files, values)).message;
}

test('values are escaped, also those of functions; nil is nothing, numbers and booleans are text', () => {
  const text = `<p title="<%= a %>"><%= f %> <%- raw %> <%= nothing %>|<%= 12 %> <%= 1.5 %> <%= true %> <%= s %></p>\n`;
  const values = `{ a = "<&>\\"'", f = function() return function() return "<f>" end end, raw = "<b>&</b>",
    s = setmetatable({}, { __tostring = function() return "<s>" end }) }`;
  assert.equal(
    page({ page: text }, values),
    `<p title="&lt;&amp;&gt;&quot;&#39;">&lt;f&gt; <b>&</b> |12 1.5 true &lt;s&gt;</p>\n`,
  );
});

test('code, loops and dropped line ends are those of etlua', () => {
  const text =
    '<% for i, name in ipairs(names) do -%>\n<li><%= i %> <%= name %></li>\n<% end -%>\nend <% if #names > 5 then %>many<% else %>few<% end %>';
  assert.equal(page({ page: text }, '{ names = { "a", "<b>" } }'), '<li>1 a</li>\n<li>2 &lt;b&gt;</li>\nend few');
});

test('all bytes of the text go out as they are', () => {
  const text = `a"b\\n\\\r\n\0\x01\x7f\xff]]%d$1<%= "x" %>\r\n`;
  assert.equal(page({ page: text }), text.replace('<%= "x" %>', 'x'));
});

test('include writes in place, with names of its own or with those around it', () => {
  const files = {
    page: '<% local shared = 1 x = "mine" include("part", { x = "<own>" }) %> <% include("part") -%>\n',
    part: '[<%= x %> <%= title %>]',
  };
  assert.equal(
    page(
      { ...files, page: '<% x = "mine" %><% include("part", { x = "<own>" }) %> <% include("part") -%>\n' },
      '{ title = "T" }',
    ),
    '[&lt;own&gt; ] [mine T]',
  );
});

test('a layout gets the page and its blocks, and blocks that the page has not are its own', () => {
  const frame =
    '<title><%= title %></title><% block("side") %>default<% endblock() %>|<% block("foot") %>foot <%= title %><% endblock() %>|<% content() %>';
  const files = {
    page: '<% layout("frame", { title = "T" }) -%>\n<% block("side") %>own <%= x %><% endblock() -%>\nbody <%= x %>',
    frame,
  };
  assert.equal(page(files, '{ x = "<1>" }'), '<title>T</title>own &lt;1&gt;|foot T|body &lt;1&gt;');
  const nested = {
    ...files,
    frame: `<% layout("outer") -%>\n${frame}`,
    outer: '<html><% block("side") %><% endblock() %>, <% content() %></html>',
  };
  assert.equal(page(nested, '{ x = 1 }'), '<html>own 1, <title>T</title>||body 1</html>');
  assert.equal(page({ page: 'a<% block("b") %>in<% endblock() %>c' }), 'ainc');
});

test('a template sees its values and a part of the library, and leaves nothing behind', () => {
  const { state, run } = newState(
    {},
    {
      '/srv/page':
        '<%= type(secret) %><%= type(print) %><%= type(require) %><%= type(values) %><% secret = 1 string.upper = nil %><%= type(a) %>',
    },
  );
  run(`secret = "s" function main(env, con)
    local values = { a = 1 }
    require("luafcgid.template").puts(con, "page", values)
    con:puts(" ", secret, type(string.upper), tostring(values.secret))
  end`);
  const expected = 'nilnilnilnilnumber sfunctionnil';
  assert.equal(serve(state, 'main').body, expected);
  assert.equal(serve(state, 'main').body, expected);
  state.close();
});

test('errors tell the line of the template', () => {
  assert.match(message({ page: 'a\n\n<p>\n<%= x.y %>' }), /^\/srv\/page:4: attempt to index /);
  assert.match(message({ page: 'a\n<% for %>' }), /\/srv\/page:2: /);
  assert.match(message({ page: 'a\nb <%= x' }), /\/srv\/page:2: a tag is opened and never closed by %>/);
  assert.match(message({ page: 'a\n<%=  %>' }), /\/srv\/page:2: a tag has no expression/);
  assert.match(
    message({ page: 'a\n<% if x then\n\n' + 'y = 1 + nil end %>' }, '{ x = 1 }'),
    /\/srv\/page:4: attempt to perform arithmetic/,
  );
  assert.match(message({ page: 'a\n\n<%= {} %>' }), /\/srv\/page:3: a template cannot write a table value/);
  assert.match(
    message({ page: '<% layout("l") %>\n<%= {} %>', l: '<% content() %>' }),
    /\/srv\/page:2: a template cannot write a table value/,
  );
  assert.match(message({ page: 'a\n<%- {} %>' }), /\/srv\/page:2: a template cannot write a table value/);
  assert.match(message({ page: '\n<% include("part") %>', part: 'x\n<%= y.z %>' }), /\/srv\/part:2: attempt to index/);
  assert.match(message({ page: '\n<% include("none") %>' }), /\/srv\/page:2: there is no template \/srv\/none/);
  assert.match(message({}), /there is no template \/srv\/page/);
  assert.match(message({ page: '<% block("b") %>' }), /the block b has no endblock\(\)/);
  assert.match(message({ page: '\n<% endblock() %>' }), /\/srv\/page:2: endblock\(\) without a block/);
  assert.match(message({ page: '<% content() %>' }), /content\(\) is for layouts/);
  assert.match(message({ page: '<% include({}) %>' }), /include needs the name of a file, not a table value/);
});

test("hostile templates and values end in an error, never in another one's page", () => {
  assert.match(message({ page: '<% include("page") %>' }), /templates include each other more than 100 levels deep/);
  assert.match(message({ page: '<% layout("page") %>' }, '{}'), /layouts name each other more than 20 levels deep/);
  assert.match(
    message(
      { page: '<%= f %>' },
      '(function() local function f() return f end local v v = { f = function() return v.f end } return v end)()',
    ),
    /gives a function again and again/,
  );
  assert.match(message({ page: '<%= 1 ) os.exit( 2 %>' }), /\/srv\/page:1: /);
  const { state, run } = newState(
    {},
    { '/srv/long': '<% for i = 1, 9 do %><%= secret %> <% end %>', '/srv/short': 'x<%= nothing %>' },
  );
  run(`local template = require("luafcgid.template")
    function long(env, con) template.puts(con, "long", { secret = "secret" }) end
    function short(env, con) template.puts(con, "short") end`);
  serve(state, 'long');
  assert.equal(serve(state, 'short').body, 'x');
  state.close();
});

test('pages of any length are written whole', () => {
  const rows = page({ page: '<% for i = 1, n do %><%= i %>,<% end %>' }, '{ n = 100000 }', 256 << 20);
  assert.equal(rows.length, 588_895);
  assert.ok(rows.endsWith('99999,100000,'));
  assert.equal(page({ page: '<%= ("<"):rep(300000) %>' }).length, 1_200_000);
  const many = '<%= x %>\n'.repeat(20_000);
  assert.equal(page({ page: many }, '{ x = "y" }', 256 << 20).length, 40_000);
});

test('compile takes a text', () => {
  const { evaluate } = newState();
  assert.equal(evaluate('require("luafcgid.template").compile("<p><%= x %></p>")({ x = "<" })'), '<p>&lt;</p>');
  const { message: wrong } = luaError(() => evaluate('require("luafcgid.template").compile("\\n<% x", "mail")'));
  assert.match(wrong, /mail:2: a tag is opened/);
});

test('puts is refused for another con, and goes after what was put before, also unbuffered', () => {
  const { state, run } = newState({}, { '/srv/page': '<%= x %>' });
  run(`local template, kept = require("luafcgid.template")
    function main(env, con) kept = con con:config("buffering", false) con:puts("a") template.puts(con, "page", { x = "b" }) con:puts("c") end
    function late(env, con) template.puts(kept, "page") end
    function over(env, con) con:finish() template.puts(con, "page") end`);
  assert.equal(serve(state, 'main').body, 'abc');
  assert.match(luaError(() => serve(state, 'late')).message, /the request of this con is over/);
  assert.match(luaError(() => serve(state, 'over')).message, /after con:finish\(\)/);
  state.close();
});

if (isEmbedded) {
  test('a page that is being handed over is not touched by one that another script makes meanwhile', () => {
    const inner = newState({}, { '/srv/page': '<%= ("inner "):rep(9) %>' });
    inner.run('function main(env, con) require("luafcgid.template").puts(con, "page") end');
    const outer = newState({}, { '/srv/page': '<%= ("outer "):rep(9) %>' });
    outer.run('function main(env, con) require("luafcgid.template").puts(con, "page") end');
    let text = '';
    const write = (bytes: Uint8Array) => {
      assert.equal(serve(inner.state, 'main').body, 'inner '.repeat(9));
      text += Buffer.from(bytes).toString('latin1');
    };
    serve(outer.state, 'main', { override: { write } });
    assert.equal(text, 'outer '.repeat(9));
    inner.state.close();
    outer.state.close();
  });

  test('a template is a file that the state depends on', () => {
    const { state, run, asked } = newState({}, { '/srv/page': 'x' });
    run('function main(env, con) require("luafcgid.template").puts(con, "page") end');
    serve(state, 'main');
    serve(state, 'main');
    assert.deepEqual(
      asked.filter((path) => path === '/srv/page'),
      ['/srv/page'],
    );
    state.close();
  });
}
