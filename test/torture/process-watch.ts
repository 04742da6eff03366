/** What can be seen of a process from outside: threads, descriptors, resident memory, children. Linux only. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const SAMPLE_MS = 200;

export interface Sample {
  readonly threads: number;
  readonly descriptors: number;
  readonly residentMiB: number;
}

export class ProcessWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  peak: Sample = { threads: 0, descriptors: 0, residentMiB: 0 };

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.look(), SAMPLE_MS);
  }

  look(): Sample {
    const now = this.#read();
    this.peak = {
      threads: Math.max(this.peak.threads, now.threads),
      descriptors: Math.max(this.peak.descriptors, now.descriptors),
      residentMiB: Math.max(this.peak.residentMiB, now.residentMiB),
    };
    return now;
  }

  /** How many descriptors of each kind are open: files by name, everything else by what it is. */
  descriptors(): Map<string, number> {
    const kinds = new Map<string, number>();
    for (const name of this.#list('fd')) {
      let target: string;
      try {
        target = readlinkSync(`/proc/${this.#pid}/fd/${name}`);
      } catch {
        continue; // closed meanwhile
      }
      // Logs that were moved away and opened anew have other names, but are as many.
      const kind = target.replace(/:\[\d+\]$/, '').replace(/ \(deleted\)$/, '');
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    return kinds;
  }

  children(): string[] {
    return this.#list('task').flatMap((task) => {
      try {
        const text = readFileSync(`/proc/${this.#pid}/task/${task}/children`, 'utf8');
        return text.split(' ').filter((child) => child !== '');
      } catch {
        return [];
      }
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(): Sample {
    let status = '';
    try {
      status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    } catch {
      // It has ended, which others notice.
    }
    const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return {
      threads: value('Threads'),
      descriptors: this.#list('fd').length,
      residentMiB: Math.round(value('VmRSS') / 1024),
    };
  }

  #list(name: 'fd' | 'task'): string[] {
    try {
      return readdirSync(`/proc/${this.#pid}/${name}`);
    } catch {
      return [];
    }
  }
}

/** What is different between two counts of descriptors, in words; empty when nothing is. */
export function difference(before: Map<string, number>, after: Map<string, number>): string {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((kind) => (before.get(kind) ?? 0) !== (after.get(kind) ?? 0))
    .map((kind) => `${kind}: ${before.get(kind) ?? 0} before, ${after.get(kind) ?? 0} after`)
    .join('; ');
}
