/** What the steps of a running server share. Each is set by the step that makes it. */
import type { FrontHandle } from '../front/host/handle.js';
import type { Log, LogLevel, Logs } from '../logging/sinks/logs.js';
import type { ServiceManager } from '../process/notify.js';
import type { Workers } from '../threads/workers.js';
import type { Generation, Printed } from './generation.js';
import type { Listeners } from './listeners.js';

export interface ServerParts {
  /** The configuration in service. */
  current: Generation;
  readonly logs: Logs;
  readonly log: Log;
  readonly manager: ServiceManager;
  readonly front: FrontHandle;
  readonly workers: Workers;
  readonly listeners: Listeners;
  /** The level of lines about start, stop and reload. */
  readonly lifeLevel: LogLevel;
  /** Where a configuration script prints. */
  readonly print: Printed['to'];
  reportBug(error: unknown): void;
  /** Starts the workers of a configuration; those of the former one end with their last requests. */
  startWorkers(generation: Generation): Promise<void>;
  /** Gives up the data sources that only configurations out of service had. */
  keepSources(): void;
}
