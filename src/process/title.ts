/** The name of the process, as `ps` and `top` show it; and by which a running server's configuration is found. */

/** @param configuration absolute name of the file; undefined: there is none */
export function nameProcess(configuration: string | undefined): void {
  process.title = configuration === undefined ? 'luafcgid' : `luafcgid ${configuration}`;
}
