/** Which values may not be shown even to who develops, by their names: error pages end up in screenshots and tickets. */

/** The same words as in `src/lua/runtime/frames.lua`. */
const SECRET = /pass|pwd|token|secret|key|cookie|auth|session|csrf|credential|signature/i;

/** What stands in the place of a secret. */
export const HIDDEN = '(hidden)';

/** Whether something of this name is a secret. */
export function isSecretName(name: string): boolean {
  return SECRET.test(name);
}

/** Most characters of a query that are looked through. */
const MOST_QUERY_CHARS = 2000;

/** A query, or a URL with one, in which values that have the names of secrets are left out. */
export function withoutSecrets(query: string): string {
  const text = query.slice(0, MOST_QUERY_CHARS);
  const shown = text.replace(/([^?&;=]+)=([^&;]*)/g, (pair, name: string) =>
    isSecretName(name) ? `${name}=${HIDDEN}` : pair,
  );
  return query.length > MOST_QUERY_CHARS ? `${shown}...` : shown;
}
