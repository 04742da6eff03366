import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import {
  type BrokenDownTime,
  gmtime,
  localtime,
  mktime,
  strftime,
} from '../../../../src/lua/embedded/libc/calendar.js';

/** What glibc's `strftime` gives in the C locale. */
const known: [epochSeconds: number, format: string, text: string][] = [
  [0, '%a %A %b %B %h', 'Thu Thursday Jan January Jan'],
  [
    0,
    '%c|%x|%X|%D|%F|%T|%R|%r',
    'Thu Jan  1 00:00:00 1970|01/01/70|00:00:00|01/01/70|1970-01-01|00:00:00|00:00|12:00:00 AM',
  ],
  [0, '%C %y %Y %g %G %V %U %W %u %w %j', '19 70 1970 70 1970 01 00 00 4 4 001'],
  [0, '%d|%e|%H|%I|%M|%S|%m|%p', '01| 1|00|12|00|00|01|AM'],
  [0, '%n%t%%|%z|%Z', '\n\t%|+0000|GMT'],
  [0, '%Ey %Od %Q %', '70 01 %Q %'],
  [1_000_000_000, '%c', 'Sun Sep  9 01:46:40 2001'],
  [1_000_000_000, '%U %W %V %u %j %I %p', '36 36 36 7 252 01 AM'],
  [1_704_067_199, '%F %T %G-W%V-%u %g %U %W %j %p', '2023-12-31 23:59:59 2023-W52-7 23 53 52 365 PM'],
  [1_104_537_600, '%F %G-W%V-%u %g', '2005-01-01 2004-W53-6 04'],
  [1_230_768_000, '%F %G-W%V-%u', '2009-01-01 2009-W01-4'],
  [1_230_681_600, '%F %G-W%V-%u %j', '2008-12-31 2009-W01-3 366'],
  [1_262_304_000, '%F %G-W%V-%u', '2010-01-01 2009-W53-5'],
  [951_782_400, '%F %j %A', '2000-02-29 060 Tuesday'],
  [-1, '%F %T', '1969-12-31 23:59:59'],
  [253_402_300_800, '%F %C', '10000-01-01 100'],
];

test('strftime gives what C gives', () => {
  for (const [epochSeconds, format, text] of known) {
    assert.equal(strftime(format, gmtime(epochSeconds)), text, `${format} of ${epochSeconds}`);
  }
});

const unknownDaylight: BrokenDownTime = {
  second: 0,
  minute: 0,
  hour: 0,
  day: 1,
  month: 0,
  year: 70,
  weekDay: 0,
  yearDay: 0,
  daylightSaving: -1,
  utcOffsetSeconds: 0,
  isUtc: false,
};

test('mktime is the inverse of localtime', () => {
  for (let epochSeconds = -5e9; epochSeconds < 5e9; epochSeconds += 123_456_789) {
    assert.equal(mktime({ ...localtime(epochSeconds), daylightSaving: -1 }), epochSeconds);
    assert.equal(mktime(localtime(epochSeconds)), epochSeconds);
  }
});

test('mktime carries over fields that are out of range', () => {
  const at = (fields: Partial<BrokenDownTime>) => mktime({ ...unknownDaylight, ...fields });
  assert.equal(at({ year: 124, month: 13, day: 1 }), at({ year: 125, month: 1, day: 1 }));
  assert.equal(at({ year: 124, month: 0, day: 0 }), at({ year: 123, month: 11, day: 31 }));
  assert.equal(at({ year: 124, month: 2, day: 1, hour: -1 }), at({ year: 124, month: 1, day: 29, hour: 23 }));
  assert.equal(at({ year: 124, minute: 90, second: -30 }), at({ year: 124, hour: 1, minute: 29, second: 30 }));
  // After 400 years the calendar repeats.
  assert.equal(at({ year: 2_000_000_100 }) - at({ year: 100 }), 5_000_000 * 146_097 * 86_400);
  assert.ok(Number.isNaN(at({ year: 2_147_483_647, month: 12 })));
});

/** What a child process with another time zone prints for some Lua, as JSON. */
function inZone(zone: string, work: string): unknown {
  const module = new URL('../../../../src/lua/embedded/libc/calendar.js', import.meta.url).href;
  const script = `import { localtime, mktime, strftime } from ${JSON.stringify(module)}; console.log(JSON.stringify(${work}))`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, TZ: zone },
    encoding: 'utf8',
  });
  assert.equal(child.status, 0, child.stderr);
  return JSON.parse(child.stdout);
}

test('the time zone of the process counts, with its daylight saving time', () => {
  const show = `[1705320000, 1721044800].map((t) => strftime('%F %T %z', localtime(t)) + ' ' + localtime(t).daylightSaving)`;
  assert.deepEqual(inZone('Europe/Berlin', show), ['2024-01-15 13:00:00 +0100 0', '2024-07-15 14:00:00 +0200 1']);
  assert.deepEqual(inZone('America/St_Johns', show), ['2024-01-15 08:30:00 -0330 0', '2024-07-15 09:30:00 -0230 1']);
  assert.deepEqual(inZone('Australia/Sydney', show), ['2024-01-15 23:00:00 +1100 1', '2024-07-15 22:00:00 +1000 0']);
  assert.deepEqual(inZone('UTC', show), ['2024-01-15 12:00:00 +0000 0', '2024-07-15 12:00:00 +0000 0']);
  assert.equal(inZone('America/New_York', `strftime('%Z', localtime(1705320000))`), 'EST');
});

test('the zone of a time that no JavaScript date holds is that of the last one that is held (attacks F13.1)', () => {
  const times = '[8.64e12, 8.65e12, -8.64e12, -8.65e12, 1e300, -1e300, Infinity]';
  const work = `${times}.map((t) => strftime('%Z', localtime(t)).length > 0 && strftime('%c %z', localtime(t)).length > 0)`;
  for (const zone of ['UTC', 'Asia/Tokyo', 'America/New_York', 'Pacific/Kiritimati', 'CET-1CEST,M3.5.0,M10.5.0/3']) {
    assert.deepEqual(inZone(zone, work), Array(7).fill(true), zone);
  }
});

test('mktime believes a time that says whether it is daylight saving time', () => {
  const fields =
    'second: 0, minute: 30, day: 27, month: 9, year: 124, weekDay: 0, yearDay: 0, utcOffsetSeconds: 0, isUtc: false';
  // In Berlin 02:30 comes twice that night.
  const both = `[1, 0].map((daylightSaving) => mktime({ ${fields}, hour: 2, daylightSaving }))`;
  assert.deepEqual(inZone('Europe/Berlin', both), [1729989000, 1729992600]);
  const round = `[1729989000, 1729992600].map((t) => mktime(localtime(t)))`;
  assert.deepEqual(inZone('Europe/Berlin', round), [1729989000, 1729992600]);
});

test('TZ may have rules as POSIX writes them (reports A10)', () => {
  const [winter, summer] = [1_705_320_000, 1_784_116_800];
  const known = [
    ['CET-1CEST,M3.5.0,M10.5.0/3', summer, '2026-07-15 14:00:00 +0200 CEST'],
    ['CET-1CEST,M3.5.0,M10.5.0/3', winter, '2024-01-15 13:00:00 +0100 CET'],
    // The changes of 2024: at 01:00 UTC on March 31 and October 27.
    ['CET-1CEST,M3.5.0,M10.5.0/3', 1_711_846_799, '2024-03-31 01:59:59 +0100 CET'],
    ['CET-1CEST,M3.5.0,M10.5.0/3', 1_711_846_800, '2024-03-31 03:00:00 +0200 CEST'],
    ['CET-1CEST,M3.5.0,M10.5.0/3', 1_729_990_799, '2024-10-27 02:59:59 +0200 CEST'],
    ['CET-1CEST,M3.5.0,M10.5.0/3', 1_729_990_800, '2024-10-27 02:00:00 +0100 CET'],
    ['XXX-5:30', summer, '2026-07-15 17:30:00 +0530 XXX'],
    ['<+0330>-3:30', summer, '2026-07-15 15:30:00 +0330 +0330'],
    ['UTC-3', summer, '2026-07-15 15:00:00 +0300 UTC'],
    ['NZST-12NZDT,M9.5.0,M4.1.0/3', winter, '2024-01-16 01:00:00 +1300 NZDT'],
    ['NZST-12NZDT,M9.5.0,M4.1.0/3', summer, '2026-07-16 00:00:00 +1200 NZST'],
    ['AAA3BBB,J60/0,J300', summer, '2026-07-15 10:00:00 -0200 BBB'],
    ['AAA3BBB,59,300/-1', winter, '2024-01-15 09:00:00 -0300 AAA'],
    ['', summer, '2026-07-15 12:00:00 +0000 UTC'],
    // What is not understood is UTC, as in C.
    ['Nowhere/Place', summer, '2026-07-15 12:00:00 +0000 Nowhere'],
  ] as const;
  for (const zone of new Set(known.map(([zone]) => zone))) {
    const ofZone = known.filter(([other]) => other === zone);
    const times = JSON.stringify(ofZone.map(([, seconds]) => seconds));
    assert.deepEqual(
      inZone(zone, `${times}.map((seconds) => strftime('%F %T %z %Z', localtime(seconds)))`),
      ofZone.map(([, , text]) => text),
      zone,
    );
  }
});

test('zones of the database have their names, and a colon before them', () => {
  assert.equal(inZone('Europe/Berlin', `strftime('%z %Z', localtime(1784116800))`), '+0200 CEST');
  assert.equal(inZone(':America/New_York', `strftime('%z %Z', localtime(1784116800))`), '-0400 EDT');
  assert.equal(inZone('Asia/Kolkata', `strftime('%F %T', localtime(1784116800))`), '2026-07-15 17:30:00');
});

test('years far away are those of the calendar', () => {
  assert.equal(strftime('%F', gmtime(9_007_199_254_740_992)), '285428751-11-12');
  assert.equal(mktime(localtime(1e14)), 1e14);
  assert.equal(mktime(localtime(-1e13)), -1e13);
});
