/** What of a configuration the front is told. */
import { isIP } from 'node:net';
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import type { Config } from '../config/load.js';
import type { createFront } from '../front/host/create-front.js';

export type FrontSettings = Parameters<typeof createFront>[1];

const MIN_TICK_MS = 10;
const MAX_TICK_MS = 250;

/**
 * @param runName begins the name of every request
 * @throws LuafcgidError `LUAFCGID_LISTEN_ADDRS`
 */
export function frontSettings(config: Config, runName: string): FrontSettings {
  return {
    front: frontOptions(config, runName),
    tickMs: tickMs(config),
    sendBufferBytes: config.sendBufferBytes,
    spoolBytes: config.spoolBytes,
    allowed: allowedLists(config.allowed, process.env.FCGI_WEB_SERVER_ADDRS),
    logs: { lowestLevel: config.logLevel, accessFormat: accessFormatOf(config) },
  };
}

/** The format of the access log, if there is one. */
export function accessFormatOf({ accessLog, accessFormat }: Config): string | undefined {
  return accessLog === undefined ? undefined : accessFormat;
}

/** How often time limits are looked at: nothing that is limited should be a quarter late. */
function tickMs({ watchdogMs, requestTimeMs, slowLog, slowTimeMs }: Config): number {
  const limits = [watchdogMs, requestTimeMs, slowLog === undefined ? 0 : slowTimeMs].filter((limitMs) => limitMs > 0);
  return Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, ...limits.map((limitMs) => limitMs / 4)));
}

/**
 * Who may connect over TCP: the setting, and FCGI_WEB_SERVER_ADDRS, which names addresses separated by commas (FastCGI
 * 1.0, 3.2). Each of them holds: neither lets in whom the other one keeps out.
 * @throws LuafcgidError for what is no address: to let in everybody instead would be no answer
 */
function allowedLists(setting: readonly string[] | undefined, list: string | undefined): (readonly string[])[] {
  const lists = setting === undefined ? [] : [setting];
  if (list === undefined || list.trim() === '') return lists;
  const addresses = list.split(',').map((address) => address.trim());
  for (const address of addresses) {
    if (isIP(address) === 0) throw new LuafcgidError('LUAFCGID_LISTEN_ADDRS', { address });
  }
  return [...lists, addresses];
}

function byteString(path: string | undefined): string | undefined {
  return path === undefined ? undefined : toByteString(path);
}

function frontOptions(config: Config, runName: string): FrontSettings['front'] {
  const { states, clones, workers, halfLifeMs, maxCount } = config;
  const { maxPostBytes, bodyMemoryBytes, sendBufferBytes, overload, showErrors, watchdogMs, watchdogMaxMs, onAbort } =
    config;
  const { connectionLimit, bodyTotalBytes, sendTotalBytes } = config;
  const { queueTimeoutMs, idleTimeoutMs, readTimeoutMs, sendTimeoutMs, requestTimeMs } = config;
  const pool = { states, clones, workers, queue: config.queueLimit, halfLifeMs, maxCount };
  const sizes = { maxPostBytes, bodyMemoryBytes, sendBufferBytes, connectionLimit, bodyTotalBytes, sendTotalBytes };
  const slowTimeMs = config.slowLog === undefined ? 0 : config.slowTimeMs;
  const limits = { queueTimeoutMs, idleTimeoutMs, readTimeoutMs, sendTimeoutMs, requestTimeMs };
  const times = { ...limits, watchdogMs, watchdogMaxMs, slowTimeMs };
  const tracesRequests = config.accessLog !== undefined;
  const scripts = {
    authScript: byteString(config.authScript),
    filterScript: byteString(config.filterScript),
    statusPath: config.statusPath,
  };
  return { pool, ...sizes, ...times, ...scripts, tracesRequests, onAbort, overload, showErrors, runName };
}
