/**
 * Connections to Redis that are lent to workers. The package that this thread talks to Redis with keeps its sockets to itself, so
 * these are opened here: the login is sent, and from then on they are the worker's. Runs in the I/O thread.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { readPassword } from '../credentials.js';
import { Return } from '../protocol.js';
import { handleOf, stopReading } from '../socket-handle.js';
import type { Lendable } from '../source.js';
import type { ResolvedSource } from '../sources.js';

/** The longest answer to a login that is read. */
const MOST_BYTES = 64 * 1024;

export interface LendableEvents {
  /** There may be one more. */
  closed(): void;
  lost(reason: string): void;
}

export class LendableConnections {
  readonly #source: ResolvedSource;
  readonly #events: LendableEvents;
  /** Those that are open or being opened. */
  readonly #sockets = new Set<Socket>();
  #whenEmpty: (() => void) | undefined;
  #isClosed = false;

  constructor(source: ResolvedSource, events: LendableEvents) {
    this.#source = source;
    this.#events = events;
  }

  /** How many are open or being opened. */
  get open(): number {
    return this.#sockets.size;
  }

  /**
   * Gives one that nobody uses, or opens one.
   * @param others further connections to the server that there are
   * @returns false when there may be no more
   */
  take(others: number, got: (connection: Lendable) => void, failed: () => void): boolean {
    if (this.#isClosed || others + this.open >= this.#source.connections) return false;
    void this.#connect().then(
      (socket) => got(this.#lendable(socket)),
      () => failed(),
    );
    return true;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    if (this.open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  #lendable(socket: Socket): Lendable {
    return {
      descriptor: handleOf(socket)?.fd ?? -1,
      // Redis cannot be told to stop a command: the connection is closed instead.
      cancel: () => {},
      comeBack: (how, reason) => {
        if (how === Return.LOST) this.#events.lost(reason);
        socket.destroy();
      },
    };
  }

  /** Connects, and logs in as the configuration says. */
  async #connect(): Promise<Socket> {
    const { host, port, socket: path, connectMs } = this.#source;
    const socket = path === undefined ? connect({ host, port, noDelay: true, keepAlive: true }) : connect({ path });
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#events.closed();
      if (this.#sockets.size === 0) this.#whenEmpty?.();
    });
    const late = setTimeout(() => socket.destroy(), connectMs);
    try {
      const login = await this.#login();
      await logIn(socket, login);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /** The commands of the login: the protocol's third version, user and password, and the database. */
  async #login(): Promise<string[][]> {
    const { user, database } = this.#source;
    const password = await readPassword(this.#source);
    const hello = password === undefined ? ['HELLO', '3'] : ['HELLO', '3', 'AUTH', user ?? 'default', password];
    return Number(database) === 0 ? [hello] : [hello, ['SELECT', database]];
  }
}

/** The commands, and after them a PING whose answer says that all were carried out. Nothing is read of the socket afterwards. */
function logIn(socket: Socket, commands: readonly (readonly string[])[]): Promise<void> {
  const mark = randomBytes(12).toString('hex');
  const end = `${'+OK\r\n'.repeat(commands.length - 1)}$${mark.length}\r\n${mark}\r\n`;
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (bytes: Buffer): void => {
      said += bytes.toString('latin1');
      const isOver = said.endsWith(`${mark}\r\n`);
      if (!isOver && said.length <= MOST_BYTES) return;
      socket.off('data', hear);
      stopReading(socket);
      if (said.startsWith('%') && said.endsWith(`\r\n${end}`)) resolve();
      else reject(new Error('the server refused the login'));
    };
    socket.once('close', () => reject(new Error('it was closed')));
    socket.on('data', hear);
    for (const words of [...commands, ['PING', mark]]) socket.write(encodeCommand(words));
  });
}

function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}
