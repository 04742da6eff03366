/** The front on the main thread, on the sockets of Node.js: runs everywhere. */
import { type ListenAddress, listenerKey } from '../../base/listen-address.js';
import { NodeDriver } from '../io/node/driver.js';
import type { SocketAccess } from '../io/socket-file.js';
import { FrontLogs } from '../logging/front-logs.js';
import { FrontApi, type FrontEvents, type FrontSettings, reportsTo } from './front-api.js';
import type { Bell, FrontHandle } from './handle.js';

export class InProcessFront implements FrontHandle {
  readonly io = 'node';
  readonly bell: Bell = { asleep: new SharedArrayBuffer(4), fd: undefined };
  readonly #driver: NodeDriver;
  readonly #service: FrontApi;

  constructor(settings: FrontSettings, events: FrontEvents) {
    const logs = new FrontLogs(settings.logs, events);
    this.#driver = new NodeDriver(settings, this.bell.asleep, reportsTo(events, logs));
    this.#service = new FrontApi(settings, events, logs, this.#driver);
  }

  async sleeper(): Promise<undefined> {
    return undefined;
  }

  rung(): void {
    this.#driver.bell();
  }

  listen(address: ListenAddress, backlog: number, access: SocketAccess): Promise<ListenAddress> {
    return this.#driver.listen(address, backlog, access);
  }

  async stopListening(address: ListenAddress): Promise<void> {
    this.#driver.stopListeningAt(listenerKey(address));
  }

  async keepSockets(): Promise<ReadonlyMap<string, number>> {
    return this.#driver.keepSockets((await import('../../linux/exec.js')).duplicate);
  }

  async call<Name extends keyof FrontApi>(
    name: Name,
    ...args: Parameters<FrontApi[Name]>
  ): Promise<ReturnType<FrontApi[Name]>> {
    const method = this.#service[name] as (...args: unknown[]) => ReturnType<FrontApi[Name]>;
    return method.apply(this.#service, args);
  }

  async close(): Promise<void> {
    this.#service.destroy();
  }
}
