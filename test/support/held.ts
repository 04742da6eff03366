/**
 * Requests that run for as long as a test wants: their script waits for a body that the test withholds. The server has
 * to have `bodymemory = 0`, so that scripts start before their bodies are complete.
 */
import type { Cleanup } from './cleanup.js';
import { FcgiConnection, parseCgiAnswer, scriptParams } from './fcgi-client.js';
import type { Server } from './server.js';

/** A script that says how many requests its state has served, and then waits for the end of the body. */
export const HOLD = `
served = 0
function main(env, con)
  served = served + 1
  con:type("text/plain")
  con:puts("running ", served) con:flush()
  con:gets()
  con:puts(" done")
end`;

export class Held {
  readonly connection: FcgiConnection;
  /** Resolves when the script runs. */
  readonly running: Promise<void>;
  /** Whether the script has said that it runs. */
  isRunning = false;

  private constructor(connection: FcgiConnection) {
    this.connection = connection;
    this.running = connection.stdoutUntil(1, 'running').then(() => {
      this.isRunning = true;
    });
    this.running.catch(() => {}); // reported to whoever awaits it
  }

  /** Asks for a script that holds; resolves when the request is on its way. */
  static async ask(t: Cleanup, server: Server, script: string): Promise<Held> {
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    await connection.begin(1);
    await connection.params(
      1,
      scriptParams(server.path(script), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '1', QUERY_STRING: 'held' }),
    );
    return new Held(connection);
  }

  /** Waits until the server has dealt with everything that was sent before. Rejects when that closed the connection. */
  async arrived(): Promise<void> {
    await this.connection.getValues('FCGI_MPXS_CONNS');
    // The first answer may be made while what came with it is still to be dealt with; this one is made after that.
    await this.connection.getValues('FCGI_MPXS_CONNS');
  }

  /** Lets the script end, and gives its answer. */
  async release(): Promise<{ readonly status: number; readonly text: string }> {
    this.connection.stdin(1, '.');
    return this.answer();
  }

  async answer(): Promise<{ readonly status: number; readonly text: string; readonly retryAfter: string | undefined }> {
    const { status, body, headers } = parseCgiAnswer((await this.connection.response(1)).stdout);
    const retryAfter = headers.find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
    return { status, text: body.toString(), retryAfter };
  }
}
