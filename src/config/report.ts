/** What a person reads about a configuration: all its faults with their remedies, or that it is valid. */
import { type ConfigError, countFaults } from './fault.js';

/** All faults of the error, a line each with its remedy below; ends without a line break. */
export function formatConfigError(error: ConfigError): string {
  const lines = [`${error.file ?? 'command line'}: ${countFaults(error.faults.length)}`];
  for (const fault of error.faults) lines.push(`  ${fault.message}`, `      ${fault.remedy}`);
  return lines.join('\n');
}

/** That the file is valid, and what is worth knowing about it. */
export function formatValid(file: string | undefined, notices: readonly string[]): string {
  const name = file ?? 'no configuration file: the default configuration';
  return [`${name} is valid`, ...notices.map((notice) => `  ${notice}`)].join('\n');
}
