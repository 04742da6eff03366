/** luafcgid.validate in every engine: what is taken, and what is said of everything else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, serveSource } from './support.js';

/** What comes of one value under one rule: the value with its type, or what is wrong. */
function check(value: string, rule: string): string {
  return serveSource(`local good, wrong = require("luafcgid.validate").check({ x = ${value}, y = 1 }, { x = ${rule} })
    if good then assert(good.y == nil) con:puts(type(good.x), " ", tostring(good.x)) else con:puts(wrong.x) end`).body;
}

test('values get the types of their rules', () => {
  assert.equal(check('" a b "', '{}'), 'string a b');
  assert.equal(check('" a "', '{ trim = false }'), 'string  a ');
  assert.equal(check('"-7"', '{ type = "integer" }'), 'number -7');
  assert.equal(check('"1.5"', '{ type = "number" }'), 'number 1.5');
  assert.equal(check('"on"', '{ type = "boolean" }'), 'boolean true');
  assert.equal(check('"a.b+c@example.org"', '{ type = "email" }'), 'string a.b+c@example.org');
  assert.equal(check('nil', '{ type = "integer" }'), 'nil nil');
  assert.equal(check('"a"', '{ list = true }').slice(0, 5), 'table');
  assert.equal(check('{ "1", "2" }', '{ list = true, type = "integer" }').slice(0, 5), 'table');
});

test('a number of a million digits is none, and takes no longer than another text (reports A2)', () => {
  const digits = '("1"):rep(1e6) .. "x"';
  assert.equal(check(digits, '{ type = "number" }'), 'has to be a number');
  assert.equal(check(digits, '{ type = "integer" }'), 'has to be a whole number');
});

test('what is wrong is said in words, or in those of the rule', () => {
  assert.equal(check('nil', '{ required = true }'), 'is missing');
  assert.equal(check('""', '{ required = true }'), 'is missing');
  assert.equal(check('"  "', '{ required = true }'), 'is missing');
  assert.equal(check('"abc"', '{ max = 2 }'), 'may be at most 2 characters');
  assert.equal(check('"5"', '{ type = "integer", min = 6 }'), 'has to be at least 6');
  assert.equal(check('"c"', '{ one_of = { "a", "b" } }'), 'is none of those that there are');
  assert.equal(check('"ab1"', '{ pattern = "%a+" }'), 'does not have the right form');
  assert.equal(check('"x"', '{ check = function(v) return v == "x" and "is x" end }'), 'is x');
  assert.equal(check('"x"', '{ type = "number", message = "No!" }'), 'No!');
  assert.equal(check('{ "1", "x" }', '{ list = true, type = "integer" }'), 'has to be a whole number');
});

test('hostile values are refused, in time that does not explode', () => {
  for (const value of ['0/0', '1/0', '"1e5"', '"0x10"', '"nan"', '{}', 'print', '"1.5"', '("9"):rep(1000)', '2^60']) {
    assert.equal(check(value, '{ type = "integer" }'), 'has to be a whole number', value);
  }
  assert.equal(check('{}', '{}'), 'has to be a text');
  assert.equal(check('"\\255"', '{}'), 'has to be UTF-8');
  for (const value of ['"a"', '"a@b"', '"a b@c.de"', '"a@b..c"', '("a"):rep(1e6) .. "@b.c"']) {
    assert.equal(check(value, '{ type = "email" }'), 'has to be an e-mail address', value);
  }
  assert.equal(check('(" "):rep(1e6) .. "x" .. (" "):rep(1e6)', '{}'), 'string x');
});

test('rules that cannot be are told to their author', () => {
  const wrong = (rule: string) => failure(`require("luafcgid.validate").check({}, ${rule})`);
  assert.match(wrong('{ x = 1 }'), /script\.lua:1: the rule of x is a number value/);
  assert.match(wrong('{ x = { maximum = 1 } }'), /the rule of x has a part maximum that does not exist/);
  assert.match(wrong('{ x = { type = "float" } }'), /there is no type float: see the rule of x/);
  assert.match(wrong('nil'), /bad argument #2 to 'check' \(table expected, got nil\)/);
});
