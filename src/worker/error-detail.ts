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
    const status = known instanceof LuafcgidError ? known.status : 500;
    const code = known instanceof LuafcgidError ? known.code : 'LUAFCGID_SCRIPT_FAILED';
    const source = sourceAround(PLACE_OF_MESSAGE.exec(message), maySee);
    const callers = callersIn(traceback, source, maySee);
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

/** `file:line:` at the start of a Lua message. */
const PLACE_OF_MESSAGE = /^(\/[^\n]*?):(\d+): /;
/** `file:line:` of a level of the stack. */
const PLACE_OF_LEVEL = /^\t(\/[^\n]*?):(\d+): in /;
/** Levels of the stack that are looked at, and places that are shown. */
const MOST_LEVELS = 30;
const MOST_CALLERS = 4;

/** The places that led to a fault, without the fault itself; none twice. */
function callersIn(
  traceback: string,
  fault: SourceExcerpt | undefined,
  maySee: (file: ByteString) => boolean,
): SourceExcerpt[] {
  const places = new Set([placeOf(fault)]);
  const callers: SourceExcerpt[] = [];
  for (const level of traceback.split('\n', MOST_LEVELS)) {
    const excerpt = callers.length < MOST_CALLERS ? sourceAround(PLACE_OF_LEVEL.exec(level), maySee) : undefined;
    const place = placeOf(excerpt);
    if (excerpt === undefined || places.has(place)) continue;
    places.add(place);
    callers.push(excerpt);
  }
  return callers;
}

function placeOf(excerpt: SourceExcerpt | undefined): string {
  return excerpt === undefined ? '' : `${excerpt.file}:${excerpt.lines.find(({ isFault }) => isFault)?.number}`;
}

/** The lines around a place that an expression has found. */
function sourceAround(match: RegExpExecArray | null, maySee: (file: ByteString) => boolean): SourceExcerpt | undefined {
  if (match === null) return undefined;
  const file = match[1] as string;
  const faulty = Number(match[2]);
  if (!maySee(file)) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = readSource(file).bytes;
  } catch {
    return undefined;
  }
  return { file, lines: linesAround(bytes, faulty) };
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
