/** Errors of scripts, grouped by script and line and counted: what happens often is one entry, however often it happens. */

/** Groups that are kept. The one that has not happened for longest makes room. */
const MOST_GROUPS = 200;
/** Characters of a text that are kept. */
const MOST_CHARS = 500;

export interface ErrorGroup {
  readonly script: string;
  /** The line in a Lua file where it happened, `file:line`; '' where the text names none. */
  readonly place: string;
  /** The code of the catalogue; '' for lines of a script's own. */
  readonly code: string;
  readonly count: number;
  /** Wall-clock times of the first and the last one, in milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The first line of the last one. */
  readonly text: string;
  /** The request of the last one; '' where it belongs to none. */
  readonly request: string;
}

/** An error as the log has it. */
export interface NotedError {
  readonly script: string;
  readonly request: string;
  readonly text: string;
  readonly isOfScript: boolean;
}

const CODE = /^(LUAFCGID_[A-Z_]+): /;
const PLACE = /(?:^|\s)(\/[^\s:]{1,400}:\d{1,9}): /;

export class ErrorGroups {
  /** In the order of their last times. */
  readonly #groups = new Map<string, ErrorGroup>();

  /** All groups, the latest first. */
  list(): ErrorGroup[] {
    return [...this.#groups.values()].reverse();
  }

  note({ script, request, text, isOfScript }: NotedError, nowMs: number): void {
    const first = text.slice(0, MOST_CHARS).split('\n', 1)[0] as string;
    const code = isOfScript ? '' : (CODE.exec(first)?.[1] ?? '');
    const place = PLACE.exec(first)?.[1] ?? '';
    const key = `${script}\0${place}\0${code}`;
    const known = this.#groups.get(key);
    this.#groups.delete(key);
    this.#groups.set(key, {
      script,
      place,
      code,
      count: (known?.count ?? 0) + 1,
      firstMs: known?.firstMs ?? nowMs,
      lastMs: nowMs,
      text: code === '' ? first : first.slice(code.length + ': '.length),
      request,
    });
    if (this.#groups.size <= MOST_GROUPS) return;
    const [oldest] = this.#groups.keys();
    this.#groups.delete(oldest as string);
  }
}
