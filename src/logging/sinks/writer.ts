/**
 * Writes lines to a channel and never waits for it. What a slow reader does not take is kept, up to a limit; what goes
 * beyond it, or cannot be written at all (a full disk), is counted, and the count is told when it works again.
 */
import type { LogLevel } from '../../channel/messages.js';
import { isFull, type LineChannel } from './channel.js';

const MOST_WAITING_BYTES = 1024 * 1024;
/** What a line that waits costs besides its bytes. */
const CHUNK_BYTES = 200;
/** When a channel that took nothing is tried again, and when one that took something. */
const RETRY_MS = 50;
const NEXT_MS = 5;
/** How long the end waits for a reader. */
const LAST_MS = 500;

const LINE_END = 10;
const NEW_LINE = Buffer.from('\n');

export interface WriterReports {
  /** The line that tells how many were lost; undefined: this log does not tell it itself. */
  lostLine?(lines: number): string;
  /** Lines are being lost since now. */
  failing?(error: unknown): void;
  /** It works again, and these were lost. Only where there is no `lostLine`. */
  recovered?(lines: number): void;
}

interface Chunk {
  readonly bytes: Buffer;
  /** Bytes sent. */
  at: number;
  /** What is lost with it; undefined: as many lines as there are in the bytes that are left. */
  readonly lines: number | undefined;
}

export class LineWriter {
  readonly channel: LineChannel;
  readonly #reports: WriterReports;
  readonly #waiting: Chunk[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #isFailing = false;
  /** The channel stands behind a piece of a line that could not be completed. */
  #isMidLine = false;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(channel: LineChannel, reports: WriterReports) {
    this.channel = channel;
    this.#reports = reports;
  }

  /** Writes one line, which has no end yet; it may have line breaks. */
  write(level: LogLevel, line: string): void {
    this.#add(this.#chunksOf(level, line, 1));
  }

  /** Writes several lines, each with its end. The bytes are copied. */
  writeAll(level: LogLevel, lines: Uint8Array): void {
    if (this.channel.frame === undefined) {
      this.#add([{ bytes: Buffer.from(lines), at: 0, lines: undefined }]);
      return;
    }
    for (const line of Buffer.from(lines).toString().split('\n')) if (line !== '') this.write(level, line);
  }

  /** @throws the system's error; then all stays as it was */
  reopen(): void {
    this.channel.reopen();
    this.#isMidLine = false;
    this.#pump();
  }

  /** Writes what can be written in short time, and closes the channel. @returns how many lines are lost and not told */
  async close(): Promise<number> {
    if (this.#isClosed) return 0;
    this.#add([]);
    const deadline = performance.now() + LAST_MS;
    while (this.#waiting.length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      this.#pump();
    }
    this.#isClosed = true;
    clearTimeout(this.#retry);
    for (const chunk of this.#waiting.splice(0)) this.#lost += linesLeft(chunk);
    this.channel.close();
    return this.#lost;
  }

  #chunksOf(level: LogLevel, line: string, lines: number): Chunk[] {
    const { frame } = this.channel;
    if (frame === undefined) return [{ bytes: Buffer.from(`${line}\n`), at: 0, lines }];
    return frame(level, line).map((bytes, index) => ({ bytes, at: 0, lines: index === 0 ? lines : 0 }));
  }

  #add(chunks: readonly Chunk[]): void {
    if (this.#isClosed) return;
    const { lostLine } = this.#reports;
    const notice =
      this.#lost > 0 && lostLine !== undefined ? this.#chunksOf('error', lostLine(this.#lost), this.#lost) : [];
    const bytes = [...notice, ...chunks].reduce((sum, chunk) => sum + CHUNK_BYTES + chunk.bytes.length, 0);
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > MOST_WAITING_BYTES) {
      this.#lose(chunks);
      return;
    }
    if (notice.length > 0) this.#lost = 0;
    this.#waiting.push(...notice, ...chunks);
    this.#waitingBytes += bytes;
    // While it waits for its reader, the clock tries again: not every line.
    if (this.#retry === undefined) this.#pump();
  }

  #lose(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) this.#lost += linesLeft(chunk);
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#reports.failing?.(new Error('whoever reads it does not'));
  }

  /** Sends what waits, as far as that goes at once. */
  #pump(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const before = this.#waiting.length;
    for (let chunk = this.#waiting[0]; chunk !== undefined; chunk = this.#waiting[0]) {
      try {
        this.#send(chunk);
      } catch (error) {
        if (isFull(error)) {
          const hasMoved = this.#waiting.length < before;
          this.#retry = setTimeout(() => this.#pump(), hasMoved ? NEXT_MS : RETRY_MS);
          this.#retry.unref();
          return;
        }
        this.#drop(chunk, error);
        continue;
      }
      this.#shift(chunk);
      this.#works();
    }
  }

  #send(chunk: Chunk): void {
    const { bytes } = chunk;
    if (this.#isMidLine) {
      this.channel.send(NEW_LINE);
      this.#isMidLine = false;
    }
    while (chunk.at < bytes.length) chunk.at += this.channel.send(chunk.at === 0 ? bytes : bytes.subarray(chunk.at));
  }

  #drop(chunk: Chunk, error: unknown): void {
    if (chunk.at > 0) this.#isMidLine = chunk.bytes[chunk.at - 1] !== LINE_END;
    this.#lost += linesLeft(chunk);
    this.#shift(chunk);
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#reports.failing?.(error);
  }

  #shift(chunk: Chunk): void {
    this.#waiting.shift();
    this.#waitingBytes -= CHUNK_BYTES + chunk.bytes.length;
  }

  /** Something was written. */
  #works(): void {
    if (this.#waiting.length > 0 || (!this.#isFailing && this.#lost === 0)) return;
    this.#isFailing = false;
    if (this.#lost === 0) return;
    if (this.#reports.lostLine !== undefined) return this.#add([]);
    const lost = this.#lost;
    this.#lost = 0;
    this.#reports.recovered?.(lost);
  }
}

function linesLeft({ bytes, at, lines }: Chunk): number {
  if (lines !== undefined) return lines;
  let count = 0;
  for (let end = bytes.indexOf(LINE_END, at); end >= 0; end = bytes.indexOf(LINE_END, end + 1)) count += 1;
  return count;
}
