/** Which name was meant where a setting or hook was expected. */
import { nearestName } from '../base/nearest-name.js';
import { hookNames, optionNames } from './schema.js';

const settings: readonly string[] = [...optionNames, ...hookNames];

/** The setting or hook that is spelled most like `name`; undefined when none is close. */
export const nearestSetting = (name: string): string | undefined => nearestName(name, settings);
