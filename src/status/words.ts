/** Numbers, times and sizes as people read them. */

/** With a comma between thousands. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** A length of time: `3.1 s`, `12 ms`, `4 d 03:11`. */
export function formatDuration(timeMs: number): string {
  if (timeMs < 1) return `${timeMs.toFixed(2)} ms`;
  if (timeMs < 1_000) return `${Math.round(timeMs)} ms`;
  if (timeMs < 60_000) return `${(timeMs / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(timeMs / 60_000);
  const clock = `${pad(Math.floor(minutes / 60) % 24)}:${pad(minutes % 60)}`;
  const days = Math.floor(minutes / 1_440);
  if (days > 0) return `${days} d ${clock}`;
  return minutes < 60 ? `${minutes} min ${Math.floor(timeMs / 1_000) % 60} s` : `${clock} h`;
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}

/** A size in MiB, with a digit behind the point where it is small. */
export function formatMebibytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes > 0 && mebibytes < 100 ? mebibytes.toFixed(1) : formatCount(mebibytes);
}

/** A rate a second. */
export function formatRate(perSecond: number): string {
  return perSecond >= 100 ? formatCount(perSecond) : perSecond.toFixed(1);
}

/** A wall-clock time of UTC, to the second. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
