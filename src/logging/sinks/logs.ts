/** The door of the logs: the log, the access log and the slow log of a server, opened, opened anew and closed together. */

import { describeError, LuafcgidError } from '../../base/errors.js';
import { type Config, identityOf } from '../../config/load.js';
import { UntrustedPath } from '../../linux/trusted-path.js';
import type { LogTarget } from '../target.js';
import { formatLogTarget } from '../target.js';
import { type LineChannel, type LogOwner, openChannel } from './channel.js';
import { Log, reopen } from './log.js';
import { SlowLog } from './slow-log.js';
import { LineWriter } from './writer.js';

export { Log, type LogLevel, type LogSubject } from './log.js';
export { SlowLog, type SlowRecord } from './slow-log.js';

export class Logs {
  readonly log: Log;
  /** Undefined where the configuration wants none. */
  readonly slow: SlowLog | undefined;
  readonly #access: LineWriter | undefined;
  /** Those besides the log itself. */
  readonly #others: readonly { readonly writer: LineWriter; readonly option: string }[];

  constructor(log: Log, access: LineWriter | undefined, slow: LineWriter | undefined, config: Config) {
    this.log = log;
    this.slow = slow && new SlowLog(slow, config.logFormat);
    this.#access = access;
    this.#others = [
      ...(access === undefined ? [] : [{ writer: access, option: 'accesslog' }]),
      ...(slow === undefined ? [] : [{ writer: slow, option: 'slowlog' }]),
    ];
  }

  /** Writes lines of the access log, each with its end. The bytes may change after this call. */
  access(lines: Uint8Array): void {
    this.#access?.writeAll('info', lines);
  }

  /** Opens all of them anew, for whoever has moved the files away. What cannot be opened is told in the log. */
  reopen(): void {
    this.log.reopen();
    for (const { writer } of this.#others) reopen(writer, this.log);
  }

  async close(): Promise<void> {
    for (const { writer, option } of this.#others) {
      const lines = await writer.close();
      if (lines === 0) continue;
      this.log.pass(
        'error',
        describeError(new LuafcgidError('LUAFCGID_LOG_LOST', { lines, log: writer.channel.name, option })),
      );
    }
    await this.log.close();
  }
}

/** @throws LuafcgidError `LUAFCGID_LOG_FILE`, `LUAFCGID_LOG_UNTRUSTED` or `LUAFCGID_LOG_SYSLOG` */
export async function openLogs(config: Config): Promise<Logs> {
  const { logFile, accessLog, slowLog, logLevel, logFormat } = config;
  const { user, gid } = identityOf(config);
  const owner = user && { uid: user.uid, gid };
  const opened: LineChannel[] = [];
  const open = async (target: LogTarget | undefined, option: string): Promise<LineChannel> => {
    const channel = await openTold(target, option, owner);
    opened.push(channel);
    return channel;
  };
  try {
    const log = new Log(await open(logFile, 'logfile'), logLevel, logFormat);
    const writer = async (target: LogTarget | undefined, option: string): Promise<LineWriter | undefined> => {
      if (target === undefined) return undefined;
      const channel = await open(target, option);
      const about = { log: channel.name, option };
      return new LineWriter(channel, {
        failing: (error) => {
          const { message } = error as Error;
          log.write(
            'error',
            describeError(new LuafcgidError('LUAFCGID_LOG_WRITE', { ...about, reason: message }, error)),
          );
        },
        // Not counted: each has a number of its own.
        recovered: (lines) =>
          log.pass('error', describeError(new LuafcgidError('LUAFCGID_LOG_LOST', { ...about, lines }))),
      });
    };
    return new Logs(log, await writer(accessLog, 'accesslog'), await writer(slowLog, 'slowlog'), config);
  } catch (error) {
    for (const channel of opened) channel.close();
    throw error;
  }
}

async function openTold(
  target: LogTarget | undefined,
  option: string,
  owner: LogOwner | undefined,
): Promise<LineChannel> {
  try {
    return await openChannel(target, owner);
  } catch (error) {
    const { message } = error as Error;
    const name = target === undefined ? 'standard error' : formatLogTarget(target);
    if (target?.kind === 'syslog') {
      throw new LuafcgidError('LUAFCGID_LOG_SYSLOG', { log: name, reason: message, option }, error);
    }
    if (error instanceof UntrustedPath) {
      throw new LuafcgidError('LUAFCGID_LOG_UNTRUSTED', { file: name, reason: message, option }, error);
    }
    throw new LuafcgidError('LUAFCGID_LOG_FILE', { file: name, reason: message, option }, error);
  }
}
