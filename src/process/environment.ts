/**
 * What a service manager hands a process that it starts (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)), and
 * what a process says to itself when it starts itself again in the background. It is taken out of the environment, so
 * that no child takes it for its own.
 */
import type { ListenAddress } from '../base/listen-address.js';

/** A listening socket that was open when the process started. */
export interface PassedSocket {
  readonly fd: number;
  /** `FileDescriptorName` of its socket unit: by default the name of that unit. */
  readonly name: string;
  /** Where it listens, where that can be found out. */
  readonly address?: ListenAddress | undefined;
}

/** A listening socket that the program which ran in this process before has left open. */
export interface KeptSocket {
  /** Where it was to listen, as the configuration says it, formatted. */
  readonly wanted: string;
  /** Where it listens. */
  readonly bound: ListenAddress;
  readonly fd: number;
}

export interface ServiceEnvironment {
  readonly sockets: readonly PassedSocket[];
  /** Where to tell how the service is; undefined: nobody wants to know. */
  readonly notifySocket: string | undefined;
  /** The service is restarted when it has not said for so long that it lives; undefined: it need not say so. */
  readonly watchdogMs: number | undefined;
  /** This process serves in the background, and its parent waits to hear that it does. */
  readonly isBackground: boolean;
  readonly kept: readonly KeptSocket[];
  /** Variables that are settings of the server, with their values. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Nobody has handed anything. */
export const noService: ServiceEnvironment = {
  sockets: [],
  notifySocket: undefined,
  watchdogMs: undefined,
  isBackground: false,
  kept: [],
  settings: {},
};

/** Number of the first descriptor that is passed. */
export const FIRST_PASSED = 3;
/** Name of sockets that were given none. */
const UNNAMED = 'unknown';

/** Set for the process in the background, to the id of its parent. */
export const BACKGROUND_VARIABLE = 'LUAFCGID_BACKGROUND';

/** Set for the program that takes this one's place in the same process: all of the above, as JSON. */
export const SUCCESSOR_VARIABLE = 'LUAFCGID_SUCCESSOR';

type Environment = Record<string, string | undefined>;

/** The same for the program that takes this one's place. */
export function bequeath(service: ServiceEnvironment, pid: number): Record<string, string> {
  return { [SUCCESSOR_VARIABLE]: JSON.stringify({ pid, service }) };
}

/** The same for a child that is to have it. */
export function passOn({ sockets, settings }: ServiceEnvironment, pid: number): Environment {
  if (sockets.length === 0) return { ...settings, [BACKGROUND_VARIABLE]: String(pid) };
  return {
    ...settings,
    [BACKGROUND_VARIABLE]: String(pid),
    LISTEN_PID: String(pid),
    LISTEN_FDS: String(sockets.length),
    LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':'),
  };
}

/**
 * @param pid of this process; `parentPid` of the one that started it
 * @param environment what is taken is deleted from it
 * @param settingNames of the variables that are settings
 */
export function takeServiceEnvironment(
  environment: Environment,
  pid: number,
  parentPid: number,
  settingNames: readonly string[] = [],
): ServiceEnvironment {
  const take = (name: string): string | undefined => {
    const value = environment[name];
    delete environment[name];
    return value;
  };
  const settings: Record<string, string> = {};
  for (const name of settingNames) {
    const value = take(name);
    if (value !== undefined) settings[name] = value;
  }
  const inherited = take(SUCCESSOR_VARIABLE);
  if (inherited !== undefined) {
    const { pid: owner, service } = JSON.parse(inherited) as { pid: number; service: ServiceEnvironment };
    // What is undefined does not go through JSON.
    if (owner === pid) return { ...noService, ...service };
  }
  const isBackground = take(BACKGROUND_VARIABLE) === String(parentPid);
  // In the background the sockets are those that the parent was handed.
  const owner = isBackground ? parentPid : pid;
  const isOwn = take('LISTEN_PID') === String(owner);
  const count = numberOf(take('LISTEN_FDS')) ?? 0;
  const names = (take('LISTEN_FDNAMES') ?? '').split(':');
  const notifySocket = take('NOTIFY_SOCKET');
  const watchdogPid = take('WATCHDOG_PID');
  const watchdogUs = numberOf(take('WATCHDOG_USEC'));
  const isWatched = watchdogPid === undefined || watchdogPid === String(pid);
  return {
    sockets: Array.from({ length: isOwn ? count : 0 }, (_, at) => ({
      fd: FIRST_PASSED + at,
      name: names[at] || UNNAMED,
    })),
    notifySocket: notifySocket === '' ? undefined : notifySocket,
    watchdogMs: watchdogUs !== undefined && watchdogUs > 0 && isWatched ? watchdogUs / 1000 : undefined,
    isBackground,
    kept: [],
    settings,
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
