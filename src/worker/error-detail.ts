/** What a failed script's answer and log line say: message, traceback, and the source around the fault. */
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import type { ErrorDetail, SourceExcerpt, SourceLine } from '../cgi/error-page.js';
import { type ByteString, LuaError } from '../lua/state.js';
import { readSource } from '../scripts/source-files.js';

/** Source lines shown before and after the faulty one. */
const CONTEXT_LINES = 5;
/** Most bytes of one of them. */
const MOST_BYTES = 1000;
const LINE_END = 10;

/** How a request that could not be answered ends. */
export interface Failure {
  readonly status: number;
  /** Of the catalogue. */
  readonly code: string;
  /** One text for the log, with the code of the catalogue. */
  readonly logText: ByteString;
  readonly detail: ErrorDetail;
}

/** @param maySee whether the text of a file may be shown */
export function describeFailure(error: unknown, maySee: (file: ByteString) => boolean): Failure {
  const known = error instanceof LuaError && error.hostError !== undefined ? error.hostError : error;
  if (error instanceof LuaError) {
    const { message, traceback } = error;
    const frames = readFrames(error.frames);
    const status = known instanceof LuafcgidError ? known.status : 500;
    const code = known instanceof LuafcgidError ? known.code : 'LUAFCGID_SCRIPT_FAILED';
    const source = sourceAround(faultIn(message, frames), frames, maySee);
    const callers = callersIn(traceback, source, frames, maySee);
    const logText = `${code}: ${message}${traceback === '' ? '' : `\n${traceback}`}`;
    const remedy = known instanceof LuafcgidError ? `\n${toByteString(known.solve)}` : '';
    return {
      status,
      code,
      logText,
      detail: { message: message + remedy, traceback, callers, ...(source && { source }) },
    };
  }
  if (error instanceof LuafcgidError) {
    const logText = toByteString(`${error.code}: ${error.message}. ${error.solve}`);
    const message = toByteString(`${error.message}\n${error.solve}`);
    return { status: error.status, code: error.code, logText, detail: { message } };
  }
  const detail = error instanceof Error ? error.stack : String(error);
  return describeFailure(new LuafcgidError('LUAFCGID_BUG', { detail }, error), maySee);
}

/** A place in a source. */
interface Place {
  readonly file: ByteString;
  readonly line: number;
}

/** A function on the stack, with its local variables. */
interface StackFrame extends Place {
  readonly locals: readonly (readonly [name: ByteString, value: ByteString])[];
}

/** Lines that `frames.lua` makes at the most. */
const MOST_FRAME_LINES = 1000;

/** Reads what `frames.lua` has written. */
function readFrames(text: ByteString): readonly StackFrame[] {
  const frames: { file: ByteString; line: number; locals: [ByteString, ByteString][] }[] = [];
  for (const line of text.split('\n', MOST_FRAME_LINES)) {
    const tab = line.lastIndexOf('\t');
    if (line.startsWith('F')) frames.push({ file: line.slice(1, tab), line: Number(line.slice(tab + 1)), locals: [] });
    const end = line.indexOf('\t');
    if (line.startsWith('L')) frames.at(-1)?.locals.push([line.slice(1, end), line.slice(end + 1)]);
  }
  return frames;
}

/** `file:line:` at the start of a Lua message; Lua puts dots in the place of the beginning of a long path. */
const PLACE_OF_MESSAGE = /^(\/[^\n]*?|\.\.\.[^\n]*?):(\d+): /;
/** `file:line:` of a level of the stack. */
const PLACE_OF_LEVEL = /^\t(\/[^\n]*?):(\d+): in /;
/** Levels of the stack that are looked at, and places that are shown. */
const MOST_LEVELS = 30;
const MOST_CALLERS = 4;

function placeIn(match: RegExpExecArray | null): Place | undefined {
  return match === null ? undefined : { file: match[1] as string, line: Number(match[2]) };
}

function faultIn(message: ByteString, frames: readonly StackFrame[]): Place | undefined {
  const place = placeIn(PLACE_OF_MESSAGE.exec(message));
  if (place === undefined || place.file.startsWith('/')) return place;
  const end = place.file.slice('...'.length);
  return frames.find(({ file, line }) => line === place.line && file.endsWith(end));
}

/** The places that led to a fault, without the fault itself; none twice. */
function callersIn(
  traceback: string,
  fault: SourceExcerpt | undefined,
  frames: readonly StackFrame[],
  maySee: (file: ByteString) => boolean,
): SourceExcerpt[] {
  const shown = new Set([placeOf(fault)]);
  const callers: SourceExcerpt[] = [];
  const levels = traceback.split('\n', MOST_LEVELS).flatMap((level) => placeIn(PLACE_OF_LEVEL.exec(level)) ?? []);
  for (const place of frames.length > 0 ? frames : levels) {
    const excerpt = callers.length < MOST_CALLERS ? sourceAround(place, frames, maySee) : undefined;
    const name = placeOf(excerpt);
    if (excerpt === undefined || shown.has(name)) continue;
    shown.add(name);
    callers.push(excerpt);
  }
  return callers;
}

function placeOf(excerpt: SourceExcerpt | undefined): string {
  return excerpt === undefined ? '' : `${excerpt.file}:${excerpt.lines.find(({ isFault }) => isFault)?.number}`;
}

/** The lines around a place, with the local variables of the function there. */
function sourceAround(
  place: Place | undefined,
  frames: readonly StackFrame[],
  maySee: (file: ByteString) => boolean,
): SourceExcerpt | undefined {
  if (place === undefined || !maySee(place.file)) return undefined;
  const { file, line: faulty } = place;
  let bytes: Uint8Array;
  try {
    bytes = readSource(file).bytes;
  } catch {
    return undefined;
  }
  const locals = frames.find(({ file, line }) => file === place.file && line === faulty)?.locals;
  return { file, lines: linesAround(bytes, faulty), ...(locals !== undefined && { locals }) };
}

/** Only the lines that are shown are cut out: a file may have millions. */
function linesAround(bytes: Uint8Array, faulty: number): SourceLine[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const lines: SourceLine[] = [];
  let at = 0;
  let number = 1;
  for (const first = faulty - CONTEXT_LINES; number < first && at < buffer.length; at += 1) {
    if (buffer[at] === LINE_END) number += 1;
  }
  if (number < faulty - CONTEXT_LINES) return lines;
  for (; number <= faulty + CONTEXT_LINES && at <= buffer.length; number += 1) {
    const lineEnd = buffer.indexOf(LINE_END, at);
    const end = lineEnd < 0 ? buffer.length : lineEnd;
    const rest = end - at - MOST_BYTES;
    const text = buffer.toString('latin1', at, Math.min(end, at + MOST_BYTES));
    lines.push({ number, text: rest > 0 ? `${text}...(+${rest})` : text, isFault: number === faulty });
    at = end + 1;
  }
  return lines;
}
