/** Placeholders of each database: what is one, what is not, and that values never become text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { residueOf as mysqlResidue } from '../../../src/io/sql/mysql-residue.js';
import { bind, type Dialect } from '../../../src/io/sql/placeholders.js';
import { residueOf as postgresResidue } from '../../../src/io/sql/postgres-residue.js';
import { scan } from '../../../src/io/sql/scanner.js';
import { Residue } from '../../../src/io/sql/sql.js';
import { Statements } from '../../../src/io/sql/statements.js';
import { code, encode } from '../support/data-source.js';

function bound(dialect: Dialect, text: string, ...values: number[]): string {
  return bind(scan(text, dialect), dialect, values).text;
}

describe('placeholders', () => {
  const same: readonly (readonly [Dialect, string, string])[] = [
    ['postgres', 'select \'?\', "?", ?', 'select \'?\', "?", $1'],
    ['postgres', "select 'it''s ?', E'\\'?', ?", "select 'it''s ?', E'\\'?', $1"],
    ['postgres', 'select $$?$$, $t$ ? $x$ ? $t$, ?', 'select $$?$$, $t$ ? $x$ ? $t$, $1'],
    ['postgres', 'select a ?? b, ?::int -- ?\n/* ? /* ? */ ? */', 'select a ? b, $1::int -- ?\n/* ? /* ? */ ? */'],
    ['postgres', 'select a$b$c, ?', 'select a$b$c, $1'],
    ['postgres', 'select x[1:2], ?', 'select x[1:2], $1'],
    ['mysql', "select 'a\\'?', `?`, ? # ?\n-- ?", "select 'a\\'?', `?`, ? # ?\n-- ?"],
    ['mysql', 'select 5--?', 'select 5--?'],
    ['sqlite', "select [?], `?`, '?', ? -- ?", "select [?], `?`, '?', ? -- ?"],
  ];
  for (const [dialect, text, expected] of same) {
    it(`of ${dialect}: ${JSON.stringify(text)}`, () => assert.equal(bound(dialect, text, 1), expected));
  }

  it('with names are bound as often as they stand there, and casts are none', () => {
    const named = new Map([
      ['a', 1],
      ['b', 2],
    ]);
    const statement = bind(scan("select :a::int, :b, :a, ':a'", 'postgres'), 'postgres', named);
    assert.deepEqual([statement.text, statement.values], ["select $1::int, $2, $1, ':a'", [1, 2]]);
    assert.deepEqual(bind(scan('select :a, :b, :a', 'mysql'), 'mysql', named).values, [1, 2, 1]);
    assert.equal(bind(scan('set @x := :a', 'mysql'), 'mysql', new Map([['a', 1]])).text, 'set @x := ?');
  });

  it('of lists become as many as the list has members', () => {
    const statement = bind(scan('where a in (?) and b = ?', 'postgres'), 'postgres', [[1, 2, 3], 4]);
    assert.deepEqual([statement.text, statement.values], ['where a in ($1, $2, $3) and b = $4', [1, 2, 3, 4]]);
  });

  const faults: readonly (readonly [string, Dialect, string, readonly unknown[] | Map<string, unknown>])[] = [
    ['a missing value', 'mysql', 'select ?, ?', [1]],
    ['one too many', 'postgres', 'select ?', [1, 2]],
    ['an empty list', 'postgres', 'select ?', [[]]],
    ['a table', 'postgres', 'select ?', [new Map([['a', 1]])]],
    ['NaN', 'sqlite', 'select ?', [Number.NaN]],
    ['an unknown name', 'sqlite', 'select :a', new Map([['b', 1]])],
    [
      'a name that is not used',
      'sqlite',
      'select :a',
      new Map([
        ['a', 1],
        ['b', 1],
      ]),
    ],
    ['both "?" and "$1"', 'postgres', 'select ?, $1', [1]],
    ['a NUL byte in the text', 'postgres', 'select 1\0', []],
  ];
  for (const [name, dialect, text, values] of faults) {
    it(`with ${name} are an error`, () => {
      assert.throws(() => bind(scan(text, dialect), dialect, values as never), code('LUAFCGID_DATA_ARGUMENT'));
    });
  }

  it('stand in one statement: SQLite would pass over what follows', () => {
    for (const text of [
      'select 1; select 2',
      'select 1;;select 2',
      'create trigger t after insert on a begin select 1; end; drop table a',
    ]) {
      assert.throws(() => bind(scan(text, 'sqlite'), 'sqlite', []), code('LUAFCGID_DATA_STATEMENTS'), text);
    }
    for (const text of [
      'select 1; -- x',
      "select ';'",
      'create temp trigger t after insert on a begin select case 1 when 1 then 2 end; select 1; end;',
    ]) {
      assert.equal(bind(scan(text, 'sqlite'), 'sqlite', []).text, text);
    }
  });
});

describe('a statement', () => {
  it('has at most 256 KiB, of which any are looked through', () => {
    const texts = ["''", 'x', "\\'", '$', '/*', 'a,', ';', '?'].map((part) => part.repeat(262_000 / part.length));
    for (const dialect of ['postgres', 'mysql', 'sqlite'] as const) {
      for (const text of texts) assert.equal(scan(`select '${text}`, dialect).text.length, text.length + 8);
      for (const text of texts) assert.equal(scan(text, dialect).text.length, text.length);
      const read = (text: string): unknown => new Statements(dialect).read(encode(text, []));
      assert.throws(() => read(`select '${'x'.repeat(262_200)}'`), code('LUAFCGID_DATA_ARGUMENT'));
    }
  });
});

describe('what a statement leaves on its connection', () => {
  const cases: readonly (readonly [typeof postgresResidue, Dialect, string, Residue])[] = [
    [postgresResidue, 'postgres', 'select count(*), lower(a) from t where b in (1, 2)', Residue.NONE],
    [postgresResidue, 'postgres', 'insert into notes (a, b) values (1, 2) on conflict (a) do nothing', Residue.NONE],
    [postgresResidue, 'postgres', 'select my_function(1)', Residue.PERHAPS],
    [postgresResidue, 'postgres', "select set_config('a.b', 'c', false)", Residue.SESSION],
    [postgresResidue, 'postgres', 'select 1 into temp t', Residue.SESSION],
    [postgresResidue, 'postgres', 'do $$ begin end $$', Residue.SESSION],
    [postgresResidue, 'postgres', 'set transaction read only', Residue.NONE],
    [mysqlResidue, 'mysql', 'select concat(a, b) from t', Residue.NONE],
    [mysqlResidue, 'mysql', 'select @x := 5', Residue.PERHAPS],
    [mysqlResidue, 'mysql', 'lock tables a write', Residue.SESSION],
  ];
  for (const [residueOf, dialect, text, expected] of cases) {
    it(`${dialect}: ${text}`, () => assert.equal(residueOf(scan(text, dialect)), expected));
  }
});
