/**
 * How much of the machine this process may use: what the control groups of Linux leave of it, by which containers and services
 * are limited. Defaults are made from that, so that a container of one processor and 256 MiB needs no settings.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

export interface Machine {
  /** Processors, at least 1; a part of one counts as one. */
  readonly cpus: number;
  readonly memoryBytes: number;
}

const MOUNT = '/sys/fs/cgroup';

/** Reads a file; undefined where there is none. */
type Read = (file: string) => string | undefined;

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

/**
 * @param whole the machine without limits
 * @param read for tests
 */
export function usableMachine(
  whole: Machine = { cpus: availableParallelism(), memoryBytes: totalmem() },
  read: Read = readText,
): Machine {
  const groups = read('/proc/self/cgroup');
  if (groups === undefined) return whole;
  let { cpus, memoryBytes } = whole;
  for (const line of groups.trim().split('\n')) {
    // ID:CONTROLLERS:PATH; version 2 has no controllers here.
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const { cpuLimit, memoryLimit } of limitsOf(controllers.split(','), path, read)) {
      if (cpuLimit !== undefined) cpus = Math.min(cpus, Math.max(1, Math.ceil(cpuLimit)));
      if (memoryLimit !== undefined) memoryBytes = Math.min(memoryBytes, memoryLimit);
    }
  }
  return { cpus, memoryBytes };
}

interface Limits {
  /** Processors, with fractions. */
  readonly cpuLimit?: number | undefined;
  readonly memoryLimit?: number | undefined;
}

/** Those of a group and of all above it: each of them holds. */
function limitsOf(controllers: readonly string[], path: string, read: Read): readonly Limits[] {
  const folders = withParents(path);
  const isVersion2 = controllers.length === 1 && controllers[0] === '';
  if (isVersion2) return folders.map((folder) => version2(`${MOUNT}${folder}`, read));
  const hasCpu = controllers.includes('cpu');
  return [
    ...(hasCpu ? folders.map((folder) => ({ cpuLimit: quotaOf(`${MOUNT}/cpu${folder}`, read) })) : []),
    ...(controllers.includes('memory')
      ? folders.map((folder) => ({ memoryLimit: bytesOf(read(`${MOUNT}/memory${folder}/memory.limit_in_bytes`)) }))
      : []),
  ];
}

/**
 * The folder of a path and those above it. A container may see the path that its host has for it, which is not there: then only the
 * top is, and that has its limits.
 */
function withParents(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return [...parts.map((_, at) => `/${parts.slice(0, at + 1).join('/')}`), ''];
}

function version2(folder: string, read: Read): Limits {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number);
  return { cpuLimit: shareOf(quota, period), memoryLimit: bytesOf(read(`${folder}/memory.max`)) };
}

/** Version 1. */
function quotaOf(folder: string, read: Read): number | undefined {
  const numberIn = (name: string): number => Number(read(`${folder}/${name}`) ?? Number.NaN);
  return shareOf(numberIn('cpu.cfs_quota_us'), numberIn('cpu.cfs_period_us'));
}

/** Without a limit the quota is "max" or -1. */
function shareOf(quota = Number.NaN, period = Number.NaN): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function bytesOf(text: string | undefined): number | undefined {
  const bytes = Number(text?.trim() || Number.NaN);
  return bytes > 0 ? bytes : undefined;
}
