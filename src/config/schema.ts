/**
 * The option table: everything the server knows about its settings, in one place: one row, one option, in `options/` by
 * group. The validator, `Config`, the sample file, `--help` and docs/configuration.md are made from it.
 */
import type { LuaValue } from '../lua/state.js';
import type { OptionRow, ValueTypes } from './option.js';
import { answers } from './options/answers.js';
import { clients } from './options/clients.js';
import { data } from './options/data.js';
import { listening } from './options/listening.js';
import { operation } from './options/operation.js';
import { pool } from './options/pool.js';
import { requests } from './options/requests.js';
import { scripts } from './options/scripts.js';
import { withoutEffect } from './options/without-effect.js';

export const options = {
  ...listening,
  ...pool,
  ...requests,
  ...clients,
  ...answers,
  ...scripts,
  ...data,
  ...operation,
  ...withoutEffect,
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof options;

/** All names, in the order of the table. */
export const optionNames = Object.keys(options) as readonly OptionName[];

type ValueOf<Row extends OptionRow> = Row extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : ValueTypes[Row['type']];

/** The settings as the program uses them: complete, checked, frozen; quantities in the unit of their name. */
export type Config = {
  readonly [Name in OptionName as (typeof options)[Name]['key']]: ValueOf<(typeof options)[Name]>;
};

/** The functions of a configuration script that the server calls. */
export const hookNames = ['startup', 'housekeeping', 'shutdown'] as const;
export type HookName = (typeof hookNames)[number];

/** The settings that `con:config(name, value)` changes for one request. */
export type SettableName = {
  [Name in OptionName]: (typeof options)[Name]['script'] extends 'set' ? Name : never;
}[OptionName];

/** What `con:config(name)` reads: the settings that scripts may know, by their Lua names and in their Lua units. */
export function scriptValues(config: Config): Readonly<Record<string, LuaValue>> {
  const values: Record<string, LuaValue> = {};
  for (const name of optionNames) {
    const row = options[name];
    if (row.script !== 'hidden')
      values[name] = row.type === 'seconds' ? config[row.key] / 1000 : (config[row.key] as LuaValue);
  }
  return values;
}
