/** Options: what answers begin with, and what of them is held back. */
import type { OptionRow } from '../option.js';
import { GIB, MIB } from '../units.js';

export const answers = {
  headers: {
    key: 'headers',
    group: 'Answers',
    type: 'header-lines',
    default: 'X-Powered-By: Lua\r\n',
    fromC: true,
    script: 'read',
    summary: 'Response headers that every script gets.',
    text: `\`Name: value\` lines, separated by \`\\r\\n\` or \`\\n\`. Empty: none. A status and a content type have options of their
own, and Location and lengths belong to scripts.`,
  },
  httpstatus: {
    key: 'httpStatus',
    group: 'Answers',
    type: 'text',
    pattern: /^[2-5][0-9]{2}( [\x20-\x7e]*)?$/,
    allowed: 'a status code from 200 to 599, alone or with its text, like "200 OK"',
    default: '200 OK',
    fromC: true,
    script: 'set',
    summary: 'HTTP status of scripts that set none.',
    text: 'A status code from 200 to 599, alone or with its text.',
  },
  contenttype: {
    key: 'contentType',
    group: 'Answers',
    type: 'text',
    pattern: /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+ *(;[\x20-\x7e]*)?$/,
    allowed: 'a MIME type, like "text/html" or "text/html; charset=utf-8"',
    default: 'text/html',
    fromC: true,
    script: 'set',
    summary: 'Content-Type of scripts that set none.',
    text: 'A MIME type, with parameters when wanted: `"text/html; charset=utf-8"`.',
  },
  buffering: {
    key: 'buffering',
    group: 'Answers',
    type: 'boolean',
    default: true,
    fromC: true,
    script: 'set',
    summary: 'Keep the answer until the script ends or flushes.',
    text: `Keeps headers and body together as long as they fit into \`outputbuffer\`, so that a script may change its mind
(\`con:reset()\`) and an error gives an error page. With \`false\` the first output sends the headers.`,
  },
  outputbuffer: {
    key: 'outputBufferBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    max: GIB,
    default: MIB,
    script: 'read',
    summary: 'How much of an answer `buffering` keeps.',
    text: 'When an answer grows past it, headers and body are sent and the rest follows as it is written.',
  },
  sendbuffer: {
    key: 'sendBufferBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    max: GIB,
    default: MIB,
    script: 'read',
    summary: 'How much of an answer is kept for a slow reader.',
    text: `When more than this waits to be sent, the script waits too: it is suspended, and its worker serves others. Where Lua
cannot be suspended it holds its worker, which the status counts as a blocking wait. An answer that fits frees worker and state at
once. See \`spool\` for longer ones.`,
  },
  spool: {
    key: 'spoolBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 53 - 1,
    default: GIB,
    script: 'read',
    summary: 'How much of all answers to slow readers may wait in temporary files.',
    text: `When a slow reader keeps a script waiting, and with it a state or a worker that other requests want, the rest of the answer
goes to a file without a name in the system's folder for temporary files (\`TMPDIR\`), and the worker is free when the
script ends. With 0, or when the disk is full, scripts wait for their readers.`,
  },
  showerrors: {
    key: 'showErrors',
    group: 'Answers',
    type: 'boolean',
    default: true,
    fromC: true,
    script: 'read',
    summary: 'Show script errors in the browser.',
    text: `\`true\` shows message, traceback, source lines with their local variables, and the request. What has the name of a
secret (\`password\`, \`token\`, \`key\`, \`cookie\`, \`authorization\` and the like) is not shown. Set it to \`false\` on a public site: the
page then shows the request's id only, and the log has the detail.`,
  },
  editor: {
    key: 'editor',
    group: 'Answers',
    type: 'text',
    pattern: /^none$|^(?!javascript:|data:)[a-z][a-z0-9+.-]*:[\x21-\x7e]*\{file\}[\x21-\x7e]*$/i,
    allowed: '"none", or an address with {file} in it, like "vscode://file/{file}:{line}"',
    default: 'none',
    example: 'vscode://file/{file}:{line}',
    script: 'hidden',
    summary: 'The address that opens a file in your editor.',
    text: `Error pages link each place of the source to it; with \`"none"\` there are no links. \`{file}\` becomes the path of the file, \`{line}\` the number of the line:
\`"vscode://file/{file}:{line}"\`, \`"idea://open?file={file}&line={line}"\`, \`"txmt://open?url=file://{file}&line={line}"\`.
It is yours, not the application's, so the environment variable \`LUAFCGID_EDITOR\` is a good place for it.`,
  },
  sendfile: {
    key: 'sendfile',
    group: 'Answers',
    type: 'sendfile',
    default: 'stream',
    example: { '/srv/files': '/files/' },
    script: 'read',
    summary: 'Which server sends a file to the client: this one, or the web server.',
    text: `\`"stream"\`: the script's worker reads the file and sends it, in pieces. A web server that can do it does it with less work:
\`"x-sendfile"\` sends the header \`X-Sendfile\` with the path, for Apache with mod_xsendfile and for lighttpd with
\`"x-sendfile" => "enable"\`. A table of directories and locations sends \`X-Accel-Redirect\` for nginx, which has to have each location:
\`location /files/ { internal; alias /srv/files/; }\`. Files in no directory of the table are streamed.`,
  },
} as const satisfies Record<string, OptionRow>;
