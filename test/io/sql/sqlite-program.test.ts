/** Which statements of SQLite do little between two rows, by the programs that this SQLite makes of them (decision 0030). */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { findSqlite } from '../../../src/io/sql/sqlite-driver.js';
import type { Database } from '../../../src/io/sql/sqlite-engine.js';
import { type Instruction, type ProgramShape, shapeOf } from '../../../src/io/sql/sqlite-program.js';

describe('a program of SQLite', () => {
  let database: Database;

  before(async () => {
    database = (await findSqlite())(':memory:', { readOnly: false, timeout: 0 });
    database.exec('create table notes (id integer primary key, title text, kind integer, body text)');
    database.exec('create table parts (note integer, at integer, text text, primary key (note, at)) without rowid');
    database.exec('create index notes_kind on notes (kind, title)');
    database.exec('create unique index notes_title on notes (title)');
    database.exec('create virtual table words using fts5 (text)');
  });

  after(() => database.close());

  function shape(text: string): ProgramShape {
    const explain = database.prepare(`explain ${text}`);
    explain.setReturnArrays(true);
    const program: Instruction[] = [];
    const rows = explain.iterate();
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      const [, opcode, p1, p2, p3, p4] = next.value;
      program.push({ opcode: String(opcode), p1: Number(p1), p2: Number(p2), p3: Number(p3), p4: String(p4 ?? '') });
    }
    return shapeOf(program);
  }

  const SINGLE = [
    'select 1',
    'select title from notes where id = ?',
    'select * from notes where title = ?',
    'select * from notes where rowid = ? and kind = 3',
    'select text from parts where note = ? and at = ?',
    'select max(id) as m from notes',
    'select n.title, m.title from notes n join notes m on m.id = n.kind where n.id = ?',
    "select upper(title), coalesce(kind, 0), case when kind > 1 then 'a' else 'b' end, kind + 1, title || '!' from notes where id = ?",
    'select exists (select 1 from notes where id = ?) as there',
  ];
  for (const text of SINGLE) {
    it(`gives one row at most: ${text}`, () => assert.deepEqual(shape(text), { isShort: true, isSingle: true }));
  }

  const ROW_BY_ROW = [
    'select 1 union all select 2',
    'select n.title, m.title from notes n left join notes m on m.id = n.kind where n.id = ?',
    'select * from notes',
    'select * from notes where kind = ?',
    'select * from notes order by id desc limit 10',
    'select title from notes where kind = ? order by title limit ?',
    'select * from parts where note = ? order by at',
    'select * from notes where id between ? and ?',
    'select * from notes where id in (?, ?, ?)',
    'select p.text from notes n join parts p on p.note = n.id where n.title = ?',
  ];
  for (const text of ROW_BY_ROW) {
    it(`gives rows without much between them: ${text}`, () => {
      assert.deepEqual(shape(text), { isShort: true, isSingle: false });
    });
  }

  const LONG = [
    'select * from notes where body = ?',
    'select * from notes where title like ?',
    "select * from notes where id = ? and body like '%x%'",
    'select count(*) from notes',
    'select sum(kind) from notes',
    'select * from notes order by body',
    'select distinct body from notes',
    'select kind, count(*) from notes group by kind',
    'select * from notes limit 10 offset 100000',
    'select * from notes a, notes b where a.body = b.body',
    'select * from notes where id in (select kind from notes)',
    'with recursive n(x) as (select 1 union all select x + 1 from n) select x from n where x < 0',
    'select (select count(*) from notes)',
    'select randomblob(100000000)',
    'select hex(zeroblob(100000000))',
    "select printf('%.*c', 100000000, 'x')",
    'select * from words where words match ?',
    'select * from json_each(?)',
    'insert into notes (title) values (1)',
    'delete from notes where id = 1',
    'pragma integrity_check',
    'vacuum',
  ];
  for (const text of LONG) {
    it(`may take long: ${text}`, () => assert.equal(shape(text).isShort, false));
  }

  it('takes an instruction that it does not know for one that takes long', () => {
    const [init, halt] = ['Init', 'Halt'].map((opcode) => ({ opcode, p1: 0, p2: 0, p3: 0, p4: '' }));
    assert.equal(shapeOf([init as Instruction, halt as Instruction]).isShort, true);
    const unknown = { opcode: 'NewInSomeVersion', p1: 0, p2: 0, p3: 0, p4: '' };
    assert.equal(shapeOf([init as Instruction, unknown, halt as Instruction]).isShort, false);
  });
});
