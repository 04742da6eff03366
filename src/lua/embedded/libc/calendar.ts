/**
 * The calendar functions of the C library (`localtime`, `gmtime`, `mktime`, `strftime` in the C locale), on JavaScript
 * dates: the time zone is the process's, as `TZ` or the system sets it.
 */

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
export const earliestSeconds = -67_768_040_609_740_800;
export const endSeconds = 67_768_036_191_676_800;

const dayMs = 86_400_000;
/** What a JavaScript date can hold; times beyond it are moved to its edge. */
const furthestMs = 8_640_000_000_000_000;

function toDate(epochSeconds: number): Date {
  return new Date(Math.max(-furthestMs, Math.min(furthestMs, epochSeconds * 1000)));
}

/** Milliseconds of a time given in fields; fields out of their range carry over. Unlike `Date.UTC`, year 70 is year 70. */
function utcMs(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime();
}

function yearDay(year: number, month: number, day: number): number {
  return Math.round((utcMs(year, month, day, 0, 0, 0) - utcMs(year, 0, 1, 0, 0, 0)) / dayMs);
}

/** Minutes west of UTC, as `getTimezoneOffset`, in a year's standard time and in its daylight saving time (or the same). */
function zoneOffsets(year: number): { standard: number; daylight: number } {
  const at = (month: number) => {
    const date = new Date(2000, month, 1);
    date.setFullYear(year);
    return date.getTimezoneOffset();
  };
  const [january, july] = [at(0), at(6)];
  return { standard: Math.max(january, july), daylight: Math.min(january, july) };
}

export function gmtime(epochSeconds: number): BrokenDownTime {
  const date = toDate(epochSeconds);
  return {
    second: date.getUTCSeconds(),
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    month: date.getUTCMonth(),
    year: date.getUTCFullYear() - 1900,
    weekDay: date.getUTCDay(),
    yearDay: yearDay(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()),
    daylightSaving: 0,
    utcOffsetSeconds: 0,
    isUtc: true,
  };
}

export function localtime(epochSeconds: number): BrokenDownTime {
  const date = toDate(epochSeconds);
  const year = date.getFullYear();
  return {
    second: date.getSeconds(),
    minute: date.getMinutes(),
    hour: date.getHours(),
    day: date.getDate(),
    month: date.getMonth(),
    year: year - 1900,
    weekDay: date.getDay(),
    yearDay: yearDay(year, date.getMonth(), date.getDate()),
    daylightSaving: date.getTimezoneOffset() < zoneOffsets(year).standard ? 1 : 0,
    utcOffsetSeconds: -date.getTimezoneOffset() * 60,
    isUtc: false,
  };
}

/**
 * Seconds since 1970 of a local time; fields out of their range carry over (month 13 is January). NaN when the result
 * cannot be represented. `daylightSaving` says how the clock that shows the time was set; below 0 the zone's rules decide.
 */
export function mktime(time: BrokenDownTime): number {
  const year = time.year + 1900;
  if (time.daylightSaving >= 0) {
    const shown = utcMs(year, time.month, time.day, time.hour, time.minute, time.second);
    const { standard, daylight } = zoneOffsets(new Date(shown).getUTCFullYear());
    return shown / 1000 + (time.daylightSaving > 0 ? daylight : standard) * 60;
  }
  const date = new Date(2000, 0, 1);
  date.setFullYear(year, time.month, time.day);
  date.setHours(time.hour, time.minute, time.second, 0);
  return date.getTime() / 1000;
}

function zoneName(time: BrokenDownTime): string {
  if (time.isUtc) return 'GMT';
  const seconds = mktime(time);
  // Past what a JavaScript date holds, the zone at its edge is told: its local time may lie beyond already.
  const edge = time.year < 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const date = toDate(Number.isNaN(seconds) ? edge : seconds);
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date);
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
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
  j: (time) => String(time.yearDay + 1).padStart(3, '0'),
  m: (time) => two(time.month + 1),
  M: (time) => two(time.minute),
  n: () => '\n',
  p: (time) => (time.hour < 12 ? 'AM' : 'PM'),
  r: (time) => strftime('%I:%M:%S %p', time),
  R: (time) => strftime('%H:%M', time),
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
