/** Host functions of the module `lfs`: directories and attributes of files, within what a confined state was granted. */
import { errorOfSystem } from '../base/system-error.js';
import { type LuaString, PATH_LIMIT_BYTES, wholeText } from './crossing.js';
import type { FileHost, LuaValue } from './state.js';

/** What these functions need of the state that calls. */
interface State {
  readonly options: { readonly files?: FileHost };
}

/** Their arguments, counted from 1. */
interface Arguments {
  number(at: number): number;
  isTrue(at: number): boolean;
  string(at: number): LuaString;
}

/** Texts and numbers of the system's errors, as C has them. */
const ERRORS: Readonly<Record<string, readonly [number: number, text: string]>> = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  EIO: [5, 'Input/output error'],
  EACCES: [13, 'Permission denied'],
  EBUSY: [16, 'Device or resource busy'],
  EEXIST: [17, 'File exists'],
  ENOTDIR: [20, 'Not a directory'],
  EISDIR: [21, 'Is a directory'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  ENOSPC: [28, 'No space left on device'],
  EROFS: [30, 'Read-only file system'],
  EMLINK: [31, 'Too many links'],
  ENAMETOOLONG: [36, 'File name too long'],
  ENOTEMPTY: [39, 'Directory not empty'],
  ELOOP: [40, 'Too many levels of symbolic links'],
  EOVERFLOW: [75, 'Value too large for defined data type'],
  EDQUOT: [122, 'Disk quota exceeded'],
};

const WORD_BYTES = 16;

function work(files: FileHost, action: string, path: string, args: Arguments): LuaValue {
  switch (action) {
    case 'attributes':
      return { ...files.attributes(path, args.isTrue(3)) };
    case 'list':
      return files.list(path);
    case 'mkdir':
      files.makeDirectory(path);
      return true;
    case 'rmdir':
      files.removeDirectory(path);
      return true;
    case 'touch':
      if (![3, 4].every((at) => Number.isFinite(args.number(at)))) throw errorOfSystem('EINVAL');
      files.touch(path, args.number(3), args.number(4));
      return true;
    default:
      throw new Error(`there is no action ${action}`);
  }
}

/**
 * `attributes`, PATH, whether a link is followed; `list`, PATH; `mkdir`, PATH; `rmdir`, PATH; `touch`, PATH, two times in seconds.
 * @returns a record of `done`, or of `number` and `text` of the system's error
 */
export function callFiles(state: State, args: Arguments): LuaValue {
  const action = wholeText(args.string(1), WORD_BYTES) ?? '';
  const path = wholeText(args.string(2), PATH_LIMIT_BYTES);
  const failed = (code: string): LuaValue => {
    const [number, text] = ERRORS[code] ?? [5, code];
    return { number, text };
  };
  if (path === undefined) return failed('ENAMETOOLONG');
  if (path.includes('\0')) return failed('ENOENT');
  const { files } = state.options;
  if (files === undefined) return failed('EACCES');
  try {
    return { done: work(files, action, path, args) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error;
    return failed(code);
  }
}
