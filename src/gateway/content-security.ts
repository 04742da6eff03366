/**
 * A page whose Content-Security-Policy forbids all but its own parts: here it gets leave for what the development server adds to it,
 * and for nothing else. Each policy of a page is asked by the browser, so each is changed. Pure.
 */
import { createHash } from 'node:crypto';

export type Headers = readonly (readonly [name: string, value: string])[];

/** What is added to a page. */
export interface Additions {
  /** Paths on the page's own server: of a script, and of what that listens to. */
  readonly scriptPath: string;
  readonly eventsPath: string;
  /** Values of `style` attributes. */
  readonly styles: readonly string[];
  /** Goes into the script's tag where a policy takes no addresses. */
  readonly nonce: string;
}

const POLICY = 'content-security-policy';
const REPORT_ONLY = 'content-security-policy-report-only';
/** Policies cannot name addresses of IPv6. */
const NAMEABLE_HOST = /^[a-z0-9.-]+(?::\d{1,5})?$/i;

/**
 * The headers of the page with leave for the additions.
 * @param host the page's own, with its port
 * @returns undefined: a policy forbids scripts in a way that cannot be changed for one of them
 */
export function allowAdditions(headers: Headers, host: string, additions: Additions): Headers | undefined {
  const isPolicy = (name: string): boolean => [POLICY, REPORT_ONLY].includes(name.toLowerCase());
  if (!headers.some(([name]) => isPolicy(name))) return headers;
  if (!NAMEABLE_HOST.test(host)) return undefined;
  const changed: (readonly [string, string])[] = [];
  for (const [name, value] of headers) {
    if (!isPolicy(name)) {
      changed.push([name, value]);
      continue;
    }
    // A header may hold several policies.
    const policies = value.split(',').map((policy) => new Policy(policy));
    if (name.toLowerCase() === POLICY && policies.some((policy) => policy.isSandbox)) return undefined;
    for (const policy of policies) policy.allow(host, additions);
    changed.push([name, policies.map(String).join(', ')]);
  }
  return changed;
}

class Policy {
  /** Names with their sources. */
  readonly #directives: [name: string, ...sources: string[]][] = [];

  constructor(text: string) {
    for (const directive of text.split(';')) {
      const [name, ...sources] = directive.trim().split(/\s+/);
      if (name) this.#directives.push([name, ...sources]);
    }
  }

  /** The page has no scripts, or is a stranger to its own server. */
  get isSandbox(): boolean {
    const sandbox = this.#sourcesOf('sandbox');
    return sandbox !== undefined && !['allow-scripts', 'allow-same-origin'].every((word) => sandbox.includes(word));
  }

  allow(host: string, { scriptPath, eventsPath, styles, nonce }: Additions): void {
    // With this word browsers look at no addresses; without it a nonce would end what 'unsafe-inline' allows.
    this.#extend(['script-src-elem', 'script-src', 'default-src'], (sources) =>
      sources.includes("'strict-dynamic'") ? [`'nonce-${nonce}'`] : [host + scriptPath],
    );
    this.#extend(['connect-src', 'default-src'], () => [host + eventsPath]);
    this.#extend(['style-src-attr', 'style-src', 'default-src'], (sources) =>
      allowsInline(sources) ? [] : ["'unsafe-hashes'", ...styles.map(hashSource)],
    );
  }

  toString(): string {
    return this.#directives.map((directive) => directive.join(' ')).join('; ');
  }

  #sourcesOf(name: string): string[] | undefined {
    // Of a directive that comes twice the first counts.
    return this.#directives.find(([each]) => each.toLowerCase() === name)?.slice(1);
  }

  /**
   * Adds sources to the first of the directives. Where only one of the others is there, which stands for it, it becomes one of
   * its own: the others hold for more than it.
   */
  #extend(names: readonly [string, ...string[]], sourcesFor: (sources: readonly string[]) => string[]): void {
    const found = names.find((name) => this.#sourcesOf(name) !== undefined);
    if (found === undefined) return;
    const sources = (this.#sourcesOf(found) ?? []).filter((source) => source.toLowerCase() !== "'none'");
    const more = sourcesFor(sources.map((source) => source.toLowerCase()));
    if (more.length === 0) return;
    const [name] = names;
    const extended: [string, ...string[]] = [name, ...sources, ...more];
    const own = this.#directives.findIndex(([each]) => each.toLowerCase() === name);
    if (own < 0) this.#directives.push(extended);
    else this.#directives[own] = extended;
  }
}

/** A nonce or a hash ends what 'unsafe-inline' allows. */
function allowsInline(sources: readonly string[]): boolean {
  return sources.includes("'unsafe-inline'") && !sources.some((source) => /^'(?:nonce|sha\d+)-/.test(source));
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
