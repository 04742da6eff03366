/** A Lua state with its script loaded: how one comes to be, from the files of the script or from its image. */

import { dirname } from 'node:path';
import { toByteString, toText } from '../base/byte-string.js';
import { isForWantOfRoom, LuafcgidError } from '../base/errors.js';
import type { RoleName } from '../base/roles.js';
import type { Config } from '../config/load.js';
import {
  adapterFor,
  type ByteString,
  type InterruptSource,
  type LogLevel,
  type LuaEngine,
  LuaError,
  type LuaState,
  type LuaValue,
  type NamedDictionary,
  runsItself,
  type StateImage,
  type WaitHost,
} from '../lua/state.js';
import { GrantedFiles } from '../scripts/file-grants.js';
import { ABSENT } from '../scripts/fingerprint.js';
import type { FileGrants } from '../scripts/held-directory.js';
import { readSource, type SourceFile, type SourceRules } from '../scripts/source-files.js';
import type { WriteQuota } from '../scripts/write-quota.js';
import type { Dictionary } from '../shared/dictionary.js';
import { type FileRole, UsedFiles } from './used-files.js';

/** What a state tells while it lives. */
export interface StateReports {
  /** It depends on this file. */
  depends(stateId: number, path: ByteString, fingerprint: string): void;
  log(level: LogLevel, text: ByteString): void;
}

/** The function that answers requests of a role. */
export interface Handler {
  readonly name: ByteString;
  readonly role: RoleName;
}

/** What all states of a worker have in common. */
export interface StateSettings {
  readonly engine: LuaEngine;
  readonly config: Config;
  readonly rules: SourceRules;
  /** What `con:config` reads. */
  readonly luaConfig: Readonly<Record<string, LuaValue>>;
  readonly reports: StateReports;
  /** What `os.getenv` sees in a confined state. */
  readonly environment: Readonly<Record<string, string>>;
  /** Directories that confined states may use files of. */
  readonly files: FileGrants | undefined;
  /** How much of them all together may be written; undefined: without a limit. */
  readonly quota: WriteQuota | undefined;
  readonly interrupts: InterruptSource;
  readonly waits: WaitHost;
  /** Dictionaries in memory that all workers share. */
  readonly shared: readonly NamedDictionary[];
  /** Undefined where sessions are not kept in memory. */
  readonly sessions: Dictionary | undefined;
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** A script's image, and the files that it was made of. */
export interface ScriptImage {
  readonly lua: StateImage;
  readonly files: UsedFiles;
}

/** A script can make up folders without end. */
const MOST_FOLDERS_TOLD = 20;

export class ScriptState {
  readonly id: number;
  /** The script's file, one character per byte. */
  readonly path: ByteString;
  readonly lua: LuaState;
  /** When its memory is looked at again, as `performance.now()` counts. */
  memoryDueMs = 0;
  /** Requests that have begun in it. */
  uses = 0;
  /** Rises with every request of the worker: the order of last uses. */
  lastUse = 0;
  isLoaded: boolean;
  /** How long its script took to load; 0: it was made from an image. */
  loadedInMs = 0;
  /** A request executes or waits in it. */
  isBusy = false;
  /** What it was made of, and all that it has loaded since. */
  readonly files: UsedFiles;
  /** Folders that files were asked for in which no file is loaded. */
  readonly #refusedFolders = new Set<ByteString>();
  /** The function that it was last seen to define. */
  #handler: ByteString | undefined;
  readonly #settings: StateSettings;

  /**
   * An empty state, which `load` makes the script's.
   * @param image what it begins as instead; the files that it was made of are unchanged
   */
  constructor(id: number, path: ByteString, settings: StateSettings, image?: ScriptImage) {
    const { config, reports, rules } = settings;
    const directory = dirname(path);
    this.id = id;
    this.path = path;
    this.#settings = settings;
    this.files = image === undefined ? new UsedFiles() : image.files.copy();
    this.lua = settings.engine.createState({
      interrupts: settings.interrupts,
      waits: settings.waits,
      shared: settings.shared,
      sessions: settings.sessions,
      host: {
        log: reports.log,
        readSource: (file) => {
          try {
            // A native script can read any file by itself.
            const { isConfined } = settings.engine;
            const source = isConfined ? rules.readFor(file, directory, readSource) : readSource(file);
            if (source !== undefined) return this.#note(file, source, 'loaded');
            this.#tellRefused(file);
            return undefined;
          } catch (error) {
            if (error instanceof LuafcgidError) throw error;
            // The script is told that there is none, as of any file that cannot be read.
            if (isMissing(error)) this.#noteFile(file, ABSENT, 'loaded');
            if (isForWantOfRoom(error)) reports.log('error', `${file} was not loaded: ${(error as Error).message}`);
            return undefined;
          }
        },
      },
      memoryBytes: config.memoryBytes,
      directory,
      path: config.path.map(toByteString),
      config: settings.luaConfig,
      allowsBytecode: config.bytecode,
      showsLocals: config.showErrors,
      keys: config.keys,
      environment: settings.environment,
      ...(settings.files !== undefined && {
        files: new GrantedFiles(settings.files, directory, rules.directories, config.filesMaxBytes, settings.quota),
      }),
      ...(image !== undefined && { image: image.lua }),
    });
    this.isLoaded = image !== undefined;
    for (const [file, fingerprint] of this.files.fingerprints()) reports.depends(id, file, fingerprint);
  }

  /**
   * Runs `preload`, then the script. After an error the state has to be closed.
   * @param handler the function that is about to be called, and in which role
   * @throws LuafcgidError when a file cannot be read or the handler is missing; LuaError when a chunk fails
   */
  load({ name: handler, role }: Handler): void {
    const { rules, config } = this.#settings;
    const { preload } = config;
    const startedMs = performance.now();
    if (preload !== undefined) {
      const file = toByteString(preload);
      this.lua.run(this.#readScript(file, 'preload', readSource), `@${file}`);
    }
    const script = this.#readScript(this.path, 'script', (path) => rules.readScript(path, readSource));
    const adapter = adapterFor(this.path, config);
    if (adapter === undefined || !runsItself(adapter)) this.lua.run(script, `@${this.path}`);
    if (adapter !== undefined) {
      const source = runsItself(adapter) ? { source: script } : {};
      this.lua.adapt({ adapter, handler: config.handler, path: this.path, ...source });
    }
    if (!this.lua.hasFunction(handler, role)) throw this.#noHandler(handler);
    this.#handler = handler;
    this.isLoaded = true;
    this.loadedInMs = performance.now() - startedMs;
  }

  /**
   * To be called before each request of a loaded state.
   * @throws LuaError when the script defines no such function; the state lives on, since it has those of other roles
   */
  requireHandler({ name: handler, role }: Handler): void {
    if (handler === this.#handler) return;
    if (!this.lua.hasFunction(handler, role)) {
      const error = this.#noHandler(handler);
      throw new LuaError('runtime', toByteString(error.message), '', error);
    }
    this.#handler = handler;
  }

  #noHandler(handler: ByteString): LuafcgidError {
    return new LuafcgidError('LUAFCGID_SCRIPT_NO_HANDLER', { path: toText(this.path), handler: toText(handler) });
  }

  /** `require` tries many names, most of which do not exist: the log has one line for each folder. */
  #tellRefused(file: ByteString): void {
    const folder = dirname(file);
    if (this.#refusedFolders.has(folder) || this.#refusedFolders.size >= MOST_FOLDERS_TOLD) return;
    this.#refusedFolders.add(folder);
    const text = `${file} was not loaded, nor is any other file of its folder: that is neither beside ${this.path} nor on the configured path`;
    this.#settings.reports.log('warn', text);
  }

  /** Whether the state was made from this file: its text may be shown beside an error. */
  isMadeFrom(file: ByteString): boolean {
    return this.files.has(file);
  }

  #readScript(path: ByteString, role: FileRole, read: (path: ByteString) => SourceFile): Uint8Array {
    try {
      return this.#note(path, read(path), role);
    } catch (error) {
      if (error instanceof LuafcgidError) throw error;
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      const values = { path: toText(path), reason };
      if (isMissing(error)) throw new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', values);
      if (reason === 'EISDIR') throw new LuafcgidError('LUAFCGID_SCRIPT_NOT_A_FILE', values);
      if (isForWantOfRoom(error)) throw new LuafcgidError('LUAFCGID_SCRIPT_NO_ROOM', values);
      throw new LuafcgidError('LUAFCGID_SCRIPT_UNREADABLE', values);
    }
  }

  /** The state depends on this file from now on. */
  #note(path: ByteString, { bytes, fingerprint }: SourceFile, role: FileRole): Uint8Array {
    this.#noteFile(path, fingerprint, role);
    return bytes;
  }

  /** @param fingerprint `ABSENT`: the state depends on there being no such file */
  #noteFile(path: ByteString, fingerprint: string, role: FileRole): void {
    if (this.files.note(path, fingerprint, role)) this.#settings.reports.depends(this.id, path, fingerprint);
  }
}
