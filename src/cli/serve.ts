/** Serving FastCGI with a configuration. */

import { formatListenAddress } from '../base/listen-address.js';
import { version } from '../base/version.js';
import { type LoadedConfig, type Overrides, settingVariables } from '../config/load.js';
import { addressOfSocket } from '../linux/socket-table.js';
import { formatLogTarget } from '../logging/target.js';
import { attachToParent, complain, releaseParent, startInBackground } from '../process/background.js';
import { bequeath, type ServiceEnvironment, takeServiceEnvironment } from '../process/environment.js';
import { nameProcess } from '../process/title.js';
import { type Server, startServer } from '../server/server.js';
import type { StatusReload } from '../status/model.js';
import { type Outcome, prepare } from './prepare.js';

/** `luafcgid [config.lua]` */
export async function serveConfig(file: string | undefined, overrides: Overrides): Promise<Outcome> {
  const service = withAddresses(takeServiceEnvironment(process.env, process.pid, process.ppid, settingVariables));
  if (service.isBackground) attachToParent();
  const prepared = prepare(file, overrides, service);
  const { loaded } = prepared;
  if (loaded.config.daemonize && !service.isBackground) {
    if (service.notifySocket === undefined) return serveInBackground(loaded, overrides, service);
    complain('luafcgid: daemonize = true has no effect: the service manager wants the server in the foreground\n');
  }
  let running: Server | undefined;
  const reload = async (): Promise<StatusReload | undefined> =>
    running?.reload((now) => prepare(file, overrides, service, now));
  const stop = (): void => void process.kill(process.pid, 'SIGTERM');
  const server = await startServer(prepared, { service, succeed: succession(), commands: { reload, stop } });
  running = server;
  nameProcess(loaded.file);
  if (loaded.config.logFile !== undefined) {
    const where = server.addresses.map(formatListenAddress).join(', ');
    complain(`luafcgid ${version} ready: listening on ${where}; log: ${formatLogTarget(loaded.config.logFile)}\n`);
  }
  releaseParent();
  return { exitCode: 0, server: { stop: () => server.stop(), reopenLogs: () => server.reopenLogs(), reload } };
}

/** Finds out where the passed sockets listen. */
function withAddresses(service: ServiceEnvironment): ServiceEnvironment {
  const sockets = service.sockets.map((socket) => ({ ...socket, address: addressOfSocket(socket.fd) }));
  return { ...service, sockets };
}

/** How this program is started anew in the same process; undefined where that cannot be done. */
function succession(): ((service: ServiceEnvironment) => Promise<never>) | undefined {
  if (process.platform !== 'linux') return undefined;
  return async (service) => {
    const { replaceProgram } = await import('../linux/exec.js');
    const environment = { ...process.env, ...bequeath(service, process.pid) } as Record<string, string>;
    const fds = [...service.kept, ...service.sockets].map(({ fd }) => fd);
    return replaceProgram(process.execPath, [...process.execArgv, ...process.argv.slice(1)], environment, fds);
  };
}

/** Starts the same server again, which reads the configuration once more. */
async function serveInBackground(
  { config, file, hooks }: LoadedConfig,
  overrides: Overrides,
  service: ServiceEnvironment,
): Promise<Outcome> {
  hooks.close();
  const passed = service.sockets.map(({ fd }) => fd);
  const inherited = config.listen.flatMap((address) => (address.kind === 'fd' ? [address.fd] : []));
  const args = file === undefined ? [] : [file];
  for (const [name, value] of Object.entries(overrides)) {
    args.push(value === true ? `--${name}` : `--${name}=${value}`);
  }
  return { exitCode: await startInBackground(args, [...passed, ...inherited], service) };
}
