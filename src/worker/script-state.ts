/** A Lua state with its script loaded: how one comes to be, and the files it is made of. */
import { dirname } from 'node:path';
import type { Config } from '../config/load.js';
import { LuafcgidError } from '../errors.js';
import type { ByteString, LogLevel, LuaEngine, LuaState, LuaValue } from '../lua/state.js';
import { readSource, type SourceFile, type SourceRules } from './source-files.js';

/** What a state tells while it lives. */
export interface StateReports {
  /** It depends on this file. */
  depends(stateId: number, path: ByteString, fingerprint: string): void;
  log(level: LogLevel, text: ByteString): void;
}

/** What all states of a worker have in common. */
export interface StateSettings {
  readonly engine: LuaEngine;
  readonly config: Config;
  readonly rules: SourceRules;
  /** What `con:config` reads. */
  readonly luaConfig: Readonly<Record<string, LuaValue>>;
  readonly reports: StateReports;
}

export class ScriptState {
  readonly id: number;
  /** The script's file, one character per byte. */
  readonly path: ByteString;
  readonly lua: LuaState;
  readonly #files = new Set<ByteString>();

  private constructor(id: number, path: ByteString, settings: StateSettings) {
    const { config, reports, rules } = settings;
    const directory = dirname(path);
    this.id = id;
    this.path = path;
    this.lua = settings.engine.createState({
      host: {
        log: reports.log,
        readSource: (file) => {
          if (!rules.allows(file, directory)) {
            reports.log('warn', `${file} was not loaded: it lies neither beside ${path} nor on the configured path`);
            return undefined;
          }
          try {
            return this.#read(file, reports).bytes;
          } catch {
            return undefined;
          }
        },
      },
      memoryBytes: config.memoryBytes,
      directory,
      path: config.path.map((template) => Buffer.from(template).toString('latin1')),
      config: settings.luaConfig,
    });
  }

  /**
   * Creates a state, runs `preload` in it, then the script.
   * @throws LuafcgidError when a file cannot be read or the handler is missing; LuaError when a chunk fails
   */
  static load(id: number, path: ByteString, settings: StateSettings): ScriptState {
    const state = new ScriptState(id, path, settings);
    try {
      const { preload, handler } = settings.config;
      if (preload !== undefined) {
        const file = Buffer.from(preload).toString('latin1');
        state.lua.run(state.#readScript(file, settings.reports), `@${file}`);
      }
      state.lua.run(state.#readScript(path, settings.reports), `@${path}`);
      if (!state.lua.hasFunction(handler)) {
        const name = Buffer.from(path, 'latin1').toString();
        throw new LuafcgidError('LUAFCGID_SCRIPT_NO_HANDLER', { path: name, handler });
      }
      return state;
    } catch (error) {
      state.lua.close();
      throw error;
    }
  }

  /** Whether the state was made from this file: its text may be shown beside an error. */
  isMadeFrom(file: ByteString): boolean {
    return this.#files.has(file);
  }

  #readScript(path: ByteString, reports: StateReports): Uint8Array {
    try {
      return this.#read(path, reports).bytes;
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      const values = { path: Buffer.from(path, 'latin1').toString(), reason };
      if (reason === 'ENOENT' || reason === 'ENOTDIR') throw new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', values);
      if (reason === 'EISDIR') throw new LuafcgidError('LUAFCGID_SCRIPT_NOT_A_FILE', values);
      throw new LuafcgidError('LUAFCGID_SCRIPT_UNREADABLE', values);
    }
  }

  #read(path: ByteString, reports: StateReports): SourceFile {
    const file = readSource(path);
    this.#files.add(path);
    reports.depends(this.id, path, file.fingerprint);
    return file;
  }
}
