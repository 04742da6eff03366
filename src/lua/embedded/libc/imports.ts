/**
 * What the embedded Lua's C library asks of its surroundings: memory, the clock, non-local jumps, and the files that a
 * state was granted (libc-files.ts). It has no environment and no processes, so those calls fail.
 */

import { EngineAbort, longJump } from '../faults.js';
import type { RunningMachine } from '../machine.js';
import { type BrokenDownTime, gmtime, localtime, mktime, strftime } from './calendar.js';
import { fileImports } from './files.js';
import type { OpenFiles } from './open-files.js';

const NOT_SUPPORTED = 52;

/** Offsets of `struct tm`. */
const tm = {
  second: 0,
  minute: 4,
  hour: 8,
  day: 12,
  month: 16,
  year: 20,
  weekDay: 24,
  yearDay: 28,
  daylightSaving: 32,
  utcOffsetSeconds: 36,
  /** A `char*` that only `strftime` reads, which is ours: 1 marks UTC. */
  zone: 40,
} as const;

function readTime(words: DataView, at: number): BrokenDownTime {
  const field = (offset: number) => words.getInt32(at + offset, true);
  return {
    second: field(tm.second),
    minute: field(tm.minute),
    hour: field(tm.hour),
    day: field(tm.day),
    month: field(tm.month),
    year: field(tm.year),
    weekDay: field(tm.weekDay),
    yearDay: field(tm.yearDay),
    daylightSaving: field(tm.daylightSaving),
    utcOffsetSeconds: field(tm.utcOffsetSeconds),
    isUtc: field(tm.zone) === 1,
  };
}

function writeTime(words: DataView, at: number, time: BrokenDownTime): void {
  const field = (offset: number, value: number) => words.setInt32(at + offset, value, true);
  field(tm.second, time.second);
  field(tm.minute, time.minute);
  field(tm.hour, time.hour);
  field(tm.day, time.day);
  field(tm.month, time.month);
  field(tm.year, time.year);
  field(tm.weekDay, time.weekDay);
  field(tm.yearDay, time.yearDay);
  field(tm.daylightSaving, time.daylightSaving);
  field(tm.utcOffsetSeconds, time.utcOffsetSeconds);
  field(tm.zone, time.isUtc ? 1 : 0);
}

/** 64-bit seconds arrive as two halves. */
const epochSeconds = (low: number, high: number) => high * 2 ** 32 + (low >>> 0);

/**
 * The imports of every instance.
 * @param openFiles those of the running state; undefined when it was granted none
 * @param log gets what C code writes to its standard streams
 */
export function libcImports(
  running: RunningMachine,
  openFiles: () => OpenFiles | undefined,
  log: (text: string) => void,
): WebAssembly.Imports {
  const files = fileImports(running, openFiles, log);
  const failWith = (errno: number) => () => -errno;
  return {
    env: {
      /** Calls a function in which Lua may raise an error, and tells the caller whether it did. */
      invoke_vii(index, a, b) {
        const { machine } = running;
        const { x, functions } = machine;
        const stackPointer = x.stackSave();
        try {
          functions[index!] ??= x.__indirect_function_table.get(index!);
          (functions[index!] as (a: number, b: number) => void)(a!, b!);
        } catch (thrown) {
          x.stackRestore(stackPointer);
          // Anything but a Lua error (a trap, an exhausted stack) leaves the machine in an unknown state: never catch it.
          if (thrown !== longJump) throw thrown;
          x.setThrew(1, 0);
        }
      },
      _emscripten_throw_longjmp() {
        throw longJump;
      },
      emscripten_resize_heap: (bytes) => (running.machine.grow(bytes! >>> 0) ? 1 : 0),
      emscripten_memcpy_js(to, from, bytes) {
        running.machine.memory.copyWithin(to! >>> 0, from! >>> 0, (from! >>> 0) + (bytes! >>> 0));
      },
      emscripten_date_now: () => Date.now(),
      _emscripten_get_now_is_monotonic: () => 0,
      exit() {
        throw new EngineAbort('Lua error outside a protected call');
      },
      strftime(to, capacity, format, time) {
        const { memory, words } = running.machine;
        const end = memory.indexOf(0, format);
        const text = Buffer.from(strftime(memory.toString('latin1', format, end), readTime(words, time!)), 'latin1');
        if (text.length + 1 > capacity!) return 0;
        memory.set(text, to);
        memory[to! + text.length] = 0;
        return text.length;
      },
      _tzset_js() {},
      _gmtime_js(low, high, time) {
        writeTime(running.machine.words, time!, gmtime(epochSeconds(low!, high!)));
      },
      _localtime_js(low, high, time) {
        writeTime(running.machine.words, time!, localtime(epochSeconds(low!, high!)));
      },
      _mktime_js(time) {
        const { x, words } = running.machine;
        const seconds = mktime(readTime(words, time!));
        if (Number.isNaN(seconds)) {
          x.setTempRet0(-1);
          return -1;
        }
        writeTime(words, time!, localtime(seconds));
        x.setTempRet0(Math.floor(seconds / 2 ** 32));
        return seconds | 0;
      },
      _emscripten_system: failWith(NOT_SUPPORTED),
      ...files.env,
      __syscall_dup3: failWith(NOT_SUPPORTED),
      __syscall_readlinkat: failWith(NOT_SUPPORTED),
    },
    wasi_snapshot_preview1: {
      ...files.wasi,
      environ_sizes_get(countAt, bytesAt) {
        const { words } = running.machine;
        words.setUint32(countAt!, 0, true);
        words.setUint32(bytesAt!, 0, true);
        return 0;
      },
      environ_get: () => 0,
    },
  };
}
