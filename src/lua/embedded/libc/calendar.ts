/**
 * The calendar functions of the C library: `localtime`, `gmtime`, `mktime`, and `strftime` in the C locale. The time zone
 * is the process's, as `TZ` or the system sets it.
 */

import { civilFromDays, daysFromCivil } from './civil.js';
import { heldTime, local, type ZoneTime } from './time-zone.js';

/** The fields of C's `struct tm`. */
export interface BrokenDownTime {
  second: number;
  minute: number;
  hour: number;
  /** 1 to 31. */
  day: number;
  /** 0 to 11. */
  month: number;
  /** Years since 1900. */
  year: number;
  /** 0 (Sunday) to 6. */
  weekDay: number;
  /** 0 to 365. */
  yearDay: number;
  /** Above 0: daylight saving time; 0: not; below 0 (only for `mktime`): unknown. */
  daylightSaving: number;
  /** Seconds east of UTC. */
  utcOffsetSeconds: number;
  /** Whether the fields are in UTC because they came from `gmtime`. */
  isUtc: boolean;
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** Between these times, in seconds since 1970, C's `int` holds the years since 1900; the second one is the first beyond. */
export const EARLIEST_SECONDS = -67_768_040_609_740_800;
export const END_SECONDS = 67_768_036_191_676_800;

const DAY_SECONDS = 86_400;

function yearDay(year: number, month: number, day: number): number {
  return daysFromCivil(year, month, day) - daysFromCivil(year, 0, 1);
}

/** The fields of a time on a clock that is so many seconds ahead of UTC. */
function breakDown(epochSeconds: number, zone: ZoneTime, isUtc: boolean): BrokenDownTime {
  // Exact for all times that C's `int` can hold the year of: a remainder has no rounding.
  const shown = heldTime(epochSeconds) + zone.offsetSeconds;
  const second = ((shown % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
  const days = (shown - second) / DAY_SECONDS;
  const { year, month, day } = civilFromDays(days);
  return {
    second: second % 60,
    minute: Math.floor(second / 60) % 60,
    hour: Math.floor(second / 3600),
    day,
    month,
    year: year - 1900,
    weekDay: (((days + 4) % 7) + 7) % 7,
    yearDay: yearDay(year, month, day),
    daylightSaving: zone.isDaylightSaving ? 1 : 0,
    utcOffsetSeconds: zone.offsetSeconds,
    isUtc,
  };
}

export function gmtime(epochSeconds: number): BrokenDownTime {
  return breakDown(epochSeconds, { offsetSeconds: 0, isDaylightSaving: false, name: 'GMT' }, true);
}

export function localtime(epochSeconds: number): BrokenDownTime {
  return breakDown(epochSeconds, local(epochSeconds), false);
}

/** Where the other kind of time is looked for, standard or daylight saving: within a year, in steps shorter than either. */
const stepsToOtherKind = [1, -1, 2, -2, 3, -3, 4, -4].map((steps) => steps * 91 * DAY_SECONDS);

/**
 * Seconds since 1970 of a local time; fields out of their range carry over (month 13 is January). NaN when the year of the
 * result does not fit into C's `int`. `daylightSaving` says how the clock that shows the time was set; below 0 the zone's
 * rules decide: a time that comes twice is the first one, one that is left out counts from before the change.
 */
export function mktime(time: BrokenDownTime): number {
  const { hour, minute, second } = time;
  const days = daysFromCivil(time.year + 1900, time.month, time.day);
  const shown = Number(BigInt(days) * BigInt(DAY_SECONDS) + BigInt(hour * 3600 + minute * 60 + second));
  const at = (offsetSeconds: number): number => shown - offsetSeconds;
  const before = local(shown - DAY_SECONDS);
  const after = local(shown + DAY_SECONDS);
  let seconds = [before, after]
    .map((zone) => at(zone.offsetSeconds))
    .find((found) => at(local(found).offsetSeconds) === found);
  seconds ??= at(before.offsetSeconds);
  if (time.daylightSaving >= 0 && local(seconds).isDaylightSaving !== time.daylightSaving > 0) {
    const guess = seconds;
    const other = [before, after, ...stepsToOtherKind.map((step) => local(guess + step))].find(
      ({ isDaylightSaving }) => isDaylightSaving === time.daylightSaving > 0,
    );
    // Where there is no other kind, it would have been an hour.
    seconds = other === undefined ? guess + (time.daylightSaving > 0 ? -3600 : 3600) : at(other.offsetSeconds);
  }
  return seconds >= EARLIEST_SECONDS && seconds < END_SECONDS ? seconds : Number.NaN;
}

function zoneName(time: BrokenDownTime): string {
  return time.isUtc ? 'GMT' : local(mktime(time)).name;
}

/** The ISO 8601 week and the year it belongs to: weeks start on Monday, the first one holds the year's first Thursday. */
function isoWeek(time: BrokenDownTime): { year: number; week: number } {
  const year = time.year + 1900;
  const thursday = time.yearDay - ((time.weekDay + 6) % 7) + 3;
  const daysOf = (which: number) => yearDay(which, 11, 31) + 1;
  if (thursday < 0) return { year: year - 1, week: Math.floor((thursday + daysOf(year - 1)) / 7) + 1 };
  if (thursday >= daysOf(year)) return { year: year + 1, week: 1 };
  return { year, week: Math.floor(thursday / 7) + 1 };
}

function zoneOffset(seconds: number): string {
  const minutes = Math.abs(Math.trunc(seconds / 60));
  return (seconds < 0 ? '-' : '+') + two(Math.floor(minutes / 60)) + two(minutes % 60);
}

const two = (value: number) => String(value).padStart(2, '0');
const twoSpaced = (value: number) => String(value).padStart(2, ' ');
const modulo = (value: number, by: number) => ((value % by) + by) % by;

const conversions: Readonly<Record<string, (time: BrokenDownTime) => string>> = {
  a: (time) => (days[time.weekDay] ?? '?').slice(0, 3),
  A: (time) => days[time.weekDay] ?? '?',
  b: (time) => (months[time.month] ?? '?').slice(0, 3),
  B: (time) => months[time.month] ?? '?',
  c: (time) => strftime('%a %b %e %H:%M:%S %Y', time),
  C: (time) => two(Math.floor((time.year + 1900) / 100)),
  d: (time) => two(time.day),
  D: (time) => strftime('%m/%d/%y', time),
  e: (time) => twoSpaced(time.day),
  F: (time) => strftime('%Y-%m-%d', time),
  g: (time) => two(modulo(isoWeek(time).year, 100)),
  G: (time) => String(isoWeek(time).year),
  h: (time) => strftime('%b', time),
  H: (time) => two(time.hour),
  I: (time) => two(time.hour % 12 === 0 ? 12 : time.hour % 12),
  k: (time) => twoSpaced(time.hour),
  l: (time) => twoSpaced(time.hour % 12 === 0 ? 12 : time.hour % 12),
  j: (time) => String(time.yearDay + 1).padStart(3, '0'),
  m: (time) => two(time.month + 1),
  M: (time) => two(time.minute),
  n: () => '\n',
  p: (time) => (time.hour < 12 ? 'AM' : 'PM'),
  P: (time) => (time.hour < 12 ? 'am' : 'pm'),
  r: (time) => strftime('%I:%M:%S %p', time),
  R: (time) => strftime('%H:%M', time),
  s: (time) => String(time.isUtc ? mktime({ ...time, daylightSaving: -1 }) : mktime(time)),
  S: (time) => two(time.second),
  t: () => '\t',
  T: (time) => strftime('%H:%M:%S', time),
  u: (time) => String(time.weekDay === 0 ? 7 : time.weekDay),
  U: (time) => two(Math.floor((time.yearDay + 7 - time.weekDay) / 7)),
  V: (time) => two(isoWeek(time).week),
  w: (time) => String(time.weekDay),
  W: (time) => two(Math.floor((time.yearDay + 7 - ((time.weekDay + 6) % 7)) / 7)),
  x: (time) => strftime('%m/%d/%y', time),
  X: (time) => strftime('%H:%M:%S', time),
  y: (time) => two(modulo(time.year, 100)),
  Y: (time) => String(time.year + 1900),
  z: (time) => zoneOffset(time.utcOffsetSeconds),
  Z: zoneName,
  '%': () => '%',
};

/** C99's `strftime` in the C locale; a conversion that does not exist comes out as it was written. */
export function strftime(format: string, time: BrokenDownTime): string {
  return format.replace(/%[EO]?([\s\S])/g, (written, conversion: string) => conversions[conversion]?.(time) ?? written);
}
