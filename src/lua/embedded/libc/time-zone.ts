/**
 * The local time zone as the system's C library has it: `TZ` names a file of the zone database or has rules as POSIX
 * writes them (`CET-1CEST,M3.5.0,M10.5.0/3`); without it /etc/localtime counts. Where the database is missing, zones come
 * from Node.js.
 */

import { readFileSync } from 'node:fs';
import { daysFromCivil, yearOfDays } from './civil.js';

/** What clocks show at one time. */
export interface ZoneTime {
  /** Seconds east of UTC. */
  readonly offsetSeconds: number;
  readonly isDaylightSaving: boolean;
  /** e.g. `CEST`. */
  readonly name: string;
}

/** @param seconds since 1970 */
export type Zone = (seconds: number) => ZoneTime;

const DAY_SECONDS = 86_400;
const utc: Zone = () => ({ offsetSeconds: 0, isDaylightSaving: false, name: 'UTC' });

/** When in a year a clock is changed: seconds since the year's start, as that clock shows them. */
type Change = (year: number) => number;

const zoneName = /([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)/.source;
const zoneOffset = /([+-]?\d{1,3}(?::\d{1,2}(?::\d{1,2})?)?)/.source;
const posixRules = new RegExp(`^${zoneName}${zoneOffset}(?:${zoneName}${zoneOffset}?(?:,([^,]+),([^,]+))?)?$`);
const changeRule = new RegExp(`^(?:M(\\d{1,2})\\.([1-5])\\.([0-6])|(J)?(\\d{1,3}))(?:/${zoneOffset})?$`);

/** Hours, minutes and seconds. */
function readTime(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, '').split(':').map(Number);
  return (text.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
}

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

function readChange(text: string): Change | undefined {
  const found = changeRule.exec(text);
  if (found === null) return undefined;
  const [, month, week, weekDay, julian, day, time = '2'] = found;
  const seconds = readTime(time);
  if (month === undefined) {
    // J counts without February 29, from 1; a bare number counts all days, from 0.
    const skips = (year: number): number => (isLeap(year) && Number(day) >= 60 ? 1 : 0);
    return (year) => (julian === undefined ? Number(day) : Number(day) - 1 + skips(year)) * DAY_SECONDS + seconds;
  }
  return (year) => {
    const start = daysFromCivil(year, 0, 1);
    const first = daysFromCivil(year, Number(month) - 1, 1);
    const next = daysFromCivil(year, Number(month), 1);
    const firstWeekDay = (((first + 4) % 7) + 7) % 7;
    let at = first + ((Number(weekDay) - firstWeekDay + 7) % 7) + (Number(week) - 1) * 7;
    while (at >= next) at -= 7;
    return (at - start) * DAY_SECONDS + seconds;
  };
}

/** A zone from POSIX rules; undefined when the text is none. Exported for tests. */
export function zoneFromRules(text: string): Zone | undefined {
  const found = posixRules.exec(text);
  if (found === null) return undefined;
  const [, standardName = '', standardOffset = '0', daylightName, daylightOffset, startText, endText] = found;
  const bare = (name: string): string => name.replace(/[<>]/g, '');
  const offsetSeconds = -readTime(standardOffset);
  const standard: ZoneTime = { offsetSeconds, isDaylightSaving: false, name: bare(standardName) };
  if (daylightName === undefined) return () => standard;
  const daylight: ZoneTime = {
    offsetSeconds: daylightOffset === undefined ? offsetSeconds + 3600 : -readTime(daylightOffset),
    isDaylightSaving: true,
    name: bare(daylightName),
  };
  const start = readChange(startText ?? 'M3.2.0');
  const end = readChange(endText ?? 'M11.1.0');
  if (start === undefined || end === undefined) return undefined;
  return (seconds) => {
    // The GNU C library takes the changes of 1970 for all years before.
    const year = Math.max(yearOfDays(Math.floor((seconds + standard.offsetSeconds) / DAY_SECONDS)), 1970);
    const yearStart = daysFromCivil(year, 0, 1) * DAY_SECONDS;
    const from = yearStart + start(year) - standard.offsetSeconds;
    const to = yearStart + end(year) - daylight.offsetSeconds;
    // South of the equator daylight saving time goes over the year's end.
    const isDaylight = from < to ? seconds >= from && seconds < to : seconds >= from || seconds < to;
    return isDaylight ? daylight : standard;
  };
}

/** A zone from a file of the zone database (RFC 8536). Throws when it is none. Exported for tests. */
export function zoneFromFile(file: Buffer): Zone {
  const headBytes = 44;
  const counts = (at: number) => {
    if (file.toString('latin1', at, at + 4) !== 'TZif') throw new Error('no file of the zone database');
    const [utcs = 0, standards = 0, leaps = 0, times = 0, types = 0, characters = 0] = Array.from(
      { length: 6 },
      (_, field) => file.readUInt32BE(at + 20 + field * 4),
    );
    return { utcs, standards, leaps, times, types, characters };
  };
  // The first part has 32-bit times; from version 2 on a second one has 64-bit times, and a line of POSIX rules follows.
  let at = 0;
  let timeBytes = 4;
  let count = counts(0);
  const partBytes = () =>
    count.times * (timeBytes + 1) +
    count.types * 6 +
    count.characters +
    count.leaps * (timeBytes + 4) +
    count.standards +
    count.utcs;
  if ((file[4] as number) >= 0x32) {
    at = headBytes + partBytes();
    timeBytes = 8;
    count = counts(at);
  }
  const end = at + headBytes + partBytes();
  at += headBytes;
  const times = Array.from({ length: count.times }, (_, index) =>
    timeBytes === 8 ? Number(file.readBigInt64BE(at + index * 8)) : file.readInt32BE(at + index * 4),
  );
  at += count.times * timeBytes;
  const indexes = file.subarray(at, at + count.times);
  at += count.times;
  const names = at + count.types * 6;
  const types = Array.from({ length: count.types }, (_, index): ZoneTime => {
    const start = names + (file[at + index * 6 + 5] as number);
    return {
      offsetSeconds: file.readInt32BE(at + index * 6),
      isDaylightSaving: file[at + index * 6 + 4] === 1,
      name: file.toString('latin1', start, file.indexOf(0, start)),
    };
  });
  const rules = timeBytes === 8 ? zoneFromRules(file.toString('latin1', end).trim()) : undefined;
  const first = types.find(({ isDaylightSaving }) => !isDaylightSaving) ?? types[0] ?? utc(0);
  return (seconds) => {
    if (times.length === 0 || seconds < (times[0] as number))
      return times.length === 0 && rules ? rules(seconds) : first;
    if (rules !== undefined && seconds >= (times.at(-1) as number)) return rules(seconds);
    let low = 0;
    let high = times.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (seconds < (times[middle] as number)) high = middle;
      else low = middle;
    }
    return types[indexes[low] as number] ?? first;
  };
}

/** A zone that Node.js knows, for systems without a database. */
function zoneFromNode(): Zone {
  // What a JavaScript date can hold; the calendar repeats after 400 years.
  const furthestSeconds = 8_640_000_000_000;
  const cycleSeconds = 146_097 * DAY_SECONDS;
  const names = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' });
  return (seconds) => {
    const date = new Date((Math.abs(seconds) < furthestSeconds ? seconds : seconds % cycleSeconds) * 1000);
    const minutes = (month: number) => -new Date(date.getFullYear(), month, 1).getTimezoneOffset();
    const offset = -date.getTimezoneOffset();
    const name = names.formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    return { offsetSeconds: offset * 60, isDaylightSaving: offset > Math.min(minutes(0), minutes(6)), name };
  };
}

function isKnownToNode(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function readZoneFile(path: string): Zone | undefined {
  try {
    return zoneFromFile(readFileSync(path));
  } catch {
    return undefined;
  }
}

/** The zone that these variables choose. A value that is not understood means UTC, as in C. */
export function findZone({ TZ, TZDIR = '/usr/share/zoneinfo' }: NodeJS.ProcessEnv): Zone {
  if (TZ === undefined) return readZoneFile('/etc/localtime') ?? zoneFromNode();
  const name = TZ.replace(/^:/, '');
  if (name === '') return utc;
  const file = name.startsWith('/') ? name : `${TZDIR}/${name}`;
  const zone = readZoneFile(file) ?? zoneFromRules(name);
  if (zone !== undefined || isKnownToNode(name)) return zone ?? zoneFromNode();
  const [named = 'UTC'] = /^[A-Za-z]{3,}/.exec(name) ?? [];
  return () => ({ offsetSeconds: 0, isDaylightSaving: false, name: named });
}

/** The furthest times whose year C's `int` holds. */
const FURTHEST_SECONDS = 67_767_976_000_000_000;

/** A time, or the furthest one where it is further: beyond it a double no longer tells one second, or day, from the next. */
export function heldTime(epochSeconds: number): number {
  return Math.max(-FURTHEST_SECONDS, Math.min(FURTHEST_SECONDS, epochSeconds));
}

let localZone: Zone | undefined;

/** The process's zone, found once for each thread. */
export const local: Zone = (seconds) => {
  localZone ??= findZone(process.env);
  return localZone(heldTime(seconds));
};
