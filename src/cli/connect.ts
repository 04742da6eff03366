/** `luafcgid check --connect`: tries each data source of a configuration and says what it found. */
import type { Config } from '../config/load.js';
import { IoHandle } from '../io/handle.js';
import { resolveSources, type SourceSettings } from '../io/sources.js';

/** What is at the other end of a source, in words. */
const KINDS: Readonly<Record<SourceSettings['kind'], string>> = {
  postgres: 'PostgreSQL',
  mysql: 'MySQL',
  sqlite: 'SQLite',
  redis: 'Redis',
};

/** Where a source is, without anything that is secret. */
function placeOf({ kind, host, port, socket, database, user }: SourceSettings): string {
  if (kind === 'sqlite') return database;
  const server = socket ?? `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `${server}, database ${database}${user === undefined ? '' : `, user ${user}`}`;
}

/** Connects to each source once. @returns a line for each, and whether all could be reached */
export async function connectAll(
  { data, http }: Config,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly isWell: boolean; readonly lines: readonly string[] }> {
  if (data.length === 0 && http === undefined) return { isWell: true, lines: ['no data sources'] };
  const log: string[] = [];
  const io = new IoHandle({ log: (_level, text) => log.push(text) });
  const grants = io.addSources(resolveSources({ data, http }, environment));
  let isWell = true;
  const lines = await Promise.all(
    data.map(async (source, index) => {
      const about = `data source ${source.name} (${placeOf(source)})`;
      try {
        const found = await io.probe(grants[index]?.id ?? 0);
        return `${about}: ${KINDS[source.kind]} ${found}`;
      } catch (error) {
        isWell = false;
        return `${about}: ${(error as Error).message}`;
      }
    }),
  );
  if (http !== undefined) {
    const client = grants.find(({ kind }) => kind === 'http');
    try {
      lines.push(`http: ${await io.probe(client?.id ?? 0)}`);
    } catch (error) {
      isWell = false;
      lines.push(`http: ${(error as Error).message}`);
    }
  }
  await io.stop();
  return { isWell, lines };
}
