/** What is wrong with a configuration: one fault, and the one error that carries them all. */
import { type ErrorCode, LuafcgidError } from '../base/errors.js';

/** One fault: complete sentences for the person who wrote the configuration. */
export interface ConfigFault {
  readonly code: ErrorCode;
  /** The setting or global name it is about; undefined when the script as a whole does not work. */
  readonly option: string | undefined;
  /** What is wrong: the name, its value, and what is allowed. */
  readonly message: string;
  readonly remedy: string;
}

/** Makes a fault whose message comes from the error catalogue. */
export function configFault(code: ErrorCode, values: Readonly<Record<string, string>>, remedy?: string): ConfigFault {
  const error = new LuafcgidError(code, values);
  return { code, option: values.option, message: error.message, remedy: remedy ?? error.solve };
}

/** A configuration that cannot be used. Nothing was started; every fault that could be known is in `faults`. */
export class ConfigError extends LuafcgidError {
  readonly faults: readonly ConfigFault[];
  /** The configuration file, or undefined when there is none and the command line is at fault. */
  readonly file: string | undefined;

  constructor(file: string | undefined, faults: readonly ConfigFault[]) {
    super('LUAFCGID_CONFIG_INVALID', {
      file: file ?? 'the environment and the command line',
      count: countFaults(faults.length),
    });
    this.file = file;
    this.faults = faults;
  }
}

export function countFaults(count: number): string {
  return count === 1 ? '1 fault' : `${count} faults`;
}
