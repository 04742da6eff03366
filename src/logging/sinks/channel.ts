/**
 * Where a log's bytes go: a file, a standard stream, or the system's log service. No channel waits: where nothing goes
 * at once (a pipe whose reader does not read, a busy log service), sending fails with EAGAIN.
 */
import { closeSync, constants, fchownSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { LogLevel } from '../../channel/messages.js';
import { openTrusted } from '../../linux/trusted-path.js';
import { FACILITIES, formatLogTarget, type LogTarget } from '../target.js';

export interface LineChannel {
  /** For messages. */
  readonly name: string;
  /** Lines go one by one, with a time of the channel's own: what a line becomes. Undefined: bytes in a row. */
  readonly frame?: (level: LogLevel, line: string) => readonly Buffer[];
  /** Sends some of the bytes, and returns how many. @throws the system's error */
  send(bytes: Uint8Array): number;
  /** Opens it anew. What was open stays so when that fails. @throws the system's error */
  reopen(): void;
  close(): void;
}

const ROOT = 0;
const STDOUT = 1;
const STDERR = 2;

/** Who opens the files again after root has given up its rights. */
export interface LogOwner {
  readonly uid: number;
  /** Undefined: the group stays. */
  readonly gid: number | undefined;
}

/**
 * @param target undefined: standard error
 * @param owner whom files of root are given to; undefined: nobody
 * @throws the system's error when it cannot be opened; UntrustedPath when another user may have put it there
 */
export async function openChannel(target: LogTarget | undefined, owner?: LogOwner): Promise<LineChannel> {
  switch (target?.kind) {
    case 'file':
      return fileChannel(target.path, owner);
    case 'syslog':
      return syslogChannel(target);
    default:
      return streamChannel(
        target === undefined ? STDERR : STDOUT,
        target === undefined ? 'standard error' : formatLogTarget(target),
      );
  }
}

function fileChannel(path: string, owner: LogOwner | undefined): LineChannel {
  let fd = openFile(path, owner);
  const open = (): number => openFile(path, owner);
  return {
    name: path,
    send: (bytes) => writeSync(fd, bytes),
    reopen() {
      const opened = open();
      closeSync(fd);
      fd = opened;
    },
    close: () => closeSync(fd),
  };
}

// Not blocking: a named pipe must not keep the server waiting for its reader, neither now nor later.
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK;

/** Opens a log file, and gives it to its owner if root has made it, or only root can have. */
function openFile(path: string, owner: LogOwner | undefined): number {
  const { fd, isOfRoot } = openOrCreate(path, owner?.uid);
  try {
    if (owner === undefined || !isOfRoot || process.geteuid?.() !== ROOT) return fd;
    const stats = fstatSync(fd);
    if (stats.isFile() && stats.uid === ROOT && stats.nlink === 1) fchownSync(fd, owner.uid, owner.gid ?? stats.gid);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openOrCreate(path: string, uid: number | undefined): { fd: number; isOfRoot: boolean } {
  try {
    const { fd } = openTrusted(path, FLAGS | constants.O_CREAT | constants.O_EXCL, 0o640, uid);
    return { fd, isOfRoot: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // Somebody may remove it between the two.
  const { fd, isTrusted } = openTrusted(path, FLAGS | constants.O_CREAT, 0o640, uid);
  return { fd, isOfRoot: isTrusted };
}

/** A standard stream. Its descriptor is shared with others, so what it is must not be changed. */
async function streamChannel(fd: number, name: string): Promise<LineChannel> {
  const stats = fstatSync(fd);
  const stream = { name, reopen: () => {}, close: () => {} };
  if (process.platform === 'linux') {
    try {
      if (stats.isSocket()) {
        const { sendAtOnce } = await import('../../linux/log-socket.js');
        const socket = { ...stream, send: (bytes: Uint8Array) => sendAtOnce(fd, bytes) };
        const isJournal = process.env.JOURNAL_STREAM === `${stats.dev}:${stats.ino}`;
        return isJournal ? { ...socket, frame: journalFrame } : socket;
      }
      if (stats.isFIFO() || stats.isCharacterDevice()) {
        // The same pipe or terminal, opened once more: that the server does not wait is not for others to feel.
        const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
        return { ...stream, send: (bytes) => writeSync(own, bytes), close: () => closeSync(own) };
      }
    } catch {
      // It may belong to another user, or there is no FFI: then as everywhere else.
    }
  }
  return { ...stream, send: (bytes) => writeSync(fd, bytes) };
}

/**
 * The journal of systemd reads the level of a line from its beginning (sd-daemon(3)), and notes the time itself. A stream
 * becomes a message a line, so each line of several has the level.
 */
function journalFrame(level: LogLevel, line: string): readonly Buffer[] {
  const prefix = `<${SEVERITY[level]}>`;
  return [Buffer.from(`${prefix}${line.replaceAll('\n', `\n${prefix}`)}\n`)];
}

// ---- syslog --------------------------------------------------------------------------------------------------------

/** By level (RFC 5424, 6.2.1). */
const SEVERITY = { error: 3, warn: 4, info: 6, debug: 7 } as const;
/** What log services take in one message; longer lines go in several. */
const MESSAGE_BYTES = 8000;
const CONTINUED = Buffer.from('(continued) ');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

async function syslogChannel({ facility, socket }: Extract<LogTarget, { kind: 'syslog' }>): Promise<LineChannel> {
  if (process.platform !== 'linux') throw new Error(`this is ${process.platform}, not Linux`);
  const { closeSocket, connectDatagram, sendAtOnce } = await import('../../linux/log-socket.js');
  let fd: number | undefined = connectDatagram(socket);
  const reopen = (): void => {
    const opened = connectDatagram(socket);
    if (fd !== undefined) closeSocket(fd);
    fd = opened;
  };
  return {
    name: `syslog at ${socket}`,
    frame: (level, line) => {
      const head = Buffer.from(
        `<${FACILITIES[facility] * 8 + SEVERITY[level]}>${localTime(new Date())} luafcgid[${process.pid}]: `,
      );
      return pieces(Buffer.from(line)).map((piece, at) =>
        Buffer.concat(at === 0 ? [head, piece] : [head, CONTINUED, piece]),
      );
    },
    send(message) {
      try {
        if (fd !== undefined) return sendAtOnce(fd, message);
      } catch (error) {
        if (isFull(error)) throw error;
      }
      // The service may have been started anew since, with another socket of this name.
      reopen();
      return sendAtOnce(fd as number, message);
    },
    reopen,
    close() {
      if (fd !== undefined) closeSocket(fd);
      fd = undefined;
    },
  };
}

/** As `/dev/log` wants it (RFC 3164, 4.1.2). */
function localTime(time: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = String(time.getDate()).padStart(2);
  return `${MONTHS[time.getMonth()]} ${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** Cut where no character of UTF-8 is cut. */
function pieces(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  while (bytes.length - at > MESSAGE_BYTES) {
    let end = at + MESSAGE_BYTES;
    while (end > at + 1 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  parts.push(bytes.subarray(at));
  return parts;
}

/** Whether a channel just takes nothing for now. */
export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EWOULDBLOCK' || code === 'ENOBUFS';
}
