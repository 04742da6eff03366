/**
 * The error catalogue: every fault that a person may meet has one entry here, and `docs/errors.md` lists them all (a
 * test keeps both equal). A code is never reused for another meaning.
 */

/** Who has to change something so that the error goes away. */
export type Blame = 'peer' | 'script' | 'operator' | 'bug';

export interface CatalogueEntry {
  readonly blame: Blame;
  /** HTTP status of the answer when the error ends a request; 0 when it cannot. */
  readonly status: number;
  /** What happened. `{name}` is replaced by the value of that name. */
  readonly message: string;
  /** What to do about it. */
  readonly solve: string;
}

export const catalogue = {
  LUAFCGID_FCGI_VERSION: {
    blame: 'peer',
    status: 0,
    message: 'FastCGI record of version {version}; only version 1 exists',
    solve: 'Check that the client speaks FastCGI: plain HTTP sent to this port looks like this.',
  },
  LUAFCGID_FCGI_RECORD: {
    blame: 'peer',
    status: 0,
    message: 'FastCGI protocol error: {detail}',
    solve: 'The connection was closed. Look at the client that sent the record.',
  },
  LUAFCGID_FCGI_PARAMS: {
    blame: 'peer',
    status: 0,
    message: 'malformed FastCGI parameters: {detail}',
    solve: 'The connection was closed. Look at the client that sent the parameters.',
  },
  LUAFCGID_FCGI_PARAMS_TOO_LARGE: {
    blame: 'peer',
    status: 431,
    message: 'FastCGI parameters of more than {limit} bytes',
    solve: 'Send smaller request headers or fewer fastcgi_param lines.',
  },
  LUAFCGID_FCGI_ROLE: {
    blame: 'peer',
    status: 501,
    message: 'FastCGI request for the role {role}; there are 1 (Responder), 2 (Authorizer) and 3 (Filter)',
    solve: 'The request was refused. Look at the client that sent it.',
  },
  LUAFCGID_REQUEST_METHOD: {
    blame: 'peer',
    status: 405,
    message: 'request method {method} is not served',
    solve: 'Scripts get every method but CONNECT and TRACE.',
  },
  LUAFCGID_REQUEST_NO_SCRIPT: {
    blame: 'operator',
    status: 404,
    message: 'the request names no script: SCRIPT_FILENAME is missing or empty',
    solve: 'nginx: add "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;" to the location.',
  },
  LUAFCGID_REQUEST_RELATIVE_SCRIPT: {
    blame: 'operator',
    status: 404,
    message: 'SCRIPT_FILENAME is no absolute path: {path}',
    solve: 'Set an absolute document root in the web server, so that SCRIPT_FILENAME begins with "/".',
  },
  LUAFCGID_REQUEST_TRAVERSAL: {
    blame: 'peer',
    status: 403,
    message: 'the path leads out of the document root: {path}',
    solve: 'Let the web server refuse ".." in paths, as examples/haproxy.cfg does, and set root in the configuration.',
  },
  LUAFCGID_REQUEST_NUL: {
    blame: 'peer',
    status: 404,
    message: 'SCRIPT_FILENAME holds a NUL byte: {path}',
    solve: 'No file has such a name; look at the client that asked for it.',
  },
  LUAFCGID_REQUEST_FIELDS: {
    blame: 'peer',
    status: 400,
    message: '{what} with more than {limit} fields',
    solve: 'Send fewer fields, or raise `maxfields` in the configuration.',
  },
  LUAFCGID_REQUEST_MULTIPART: {
    blame: 'peer',
    status: 400,
    message: 'malformed multipart/form-data body: {detail}',
    solve: 'Look at the client: it sent a form that no browser sends, or broke off.',
  },
  LUAFCGID_REQUEST_JSON: {
    blame: 'peer',
    status: 400,
    message: 'the request body is no JSON: {detail}',
    solve: 'Look at the client: the message tells the first character that is wrong.',
  },
  LUAFCGID_REQUEST_TYPE: {
    blame: 'peer',
    status: 415,
    message: 'the request body is no JSON but {type}',
    solve: 'Send the header "Content-Type: application/json" with the body.',
  },
  LUAFCGID_REQUEST_CSRF: {
    blame: 'peer',
    status: 403,
    message: 'the form was not accepted: {detail}',
    solve:
      'Load the page again and send its form once more. If that happens to all: put con:csrf_field() into the form, and ' +
      'serve the page and its target under one host.',
  },
  LUAFCGID_REQUEST_FIELD_TOO_LARGE: {
    blame: 'peer',
    status: 413,
    message: 'a field of the form, which is no file, has more than {limit} bytes',
    solve: 'Raise maxfield in the configuration if such fields are wanted, or send them as files.',
  },
  LUAFCGID_UPLOAD_FAILED: {
    blame: 'operator',
    status: 503,
    message: 'an upload cannot be kept in a temporary file: {reason}',
    solve: 'Look at the room in the folder for temporary files (TMPDIR), and at who may write there.',
  },
  LUAFCGID_SESSION_FULL: {
    blame: 'operator',
    status: 503,
    message: 'there is no room for another session in memory',
    solve:
      'Raise size of the setting sessions, shorten idle, or keep sessions in a data source. No session was removed for ' +
      'this one.',
  },
  LUAFCGID_REQUEST_BODY_TOO_LARGE: {
    blame: 'peer',
    status: 413,
    message: 'request body of more than {limit} bytes',
    solve: 'Raise maxpost in the configuration if such bodies are wanted.',
  },
  LUAFCGID_REQUEST_BODY_SHORT: {
    blame: 'peer',
    status: 400,
    message: 'the request body ended before its announced length',
    solve: 'The client broke off, or CONTENT_LENGTH is wrong; the web server log tells which.',
  },
  LUAFCGID_REQUEST_DATA_TOO_LARGE: {
    blame: 'peer',
    status: 413,
    message: 'the file for a Filter has more than {limit} bytes',
    solve: 'Raise maxpost in the configuration if files of that size are to be filtered.',
  },
  LUAFCGID_REQUEST_DATA_SHORT: {
    blame: 'peer',
    status: 400,
    message: 'the file for a Filter ended before its announced length',
    solve: 'The web server broke off, the file became shorter meanwhile, or FCGI_DATA_LENGTH is wrong.',
  },
  LUAFCGID_REQUEST_DATA_LATE: {
    blame: 'peer',
    status: 408,
    message: 'the file for a Filter stopped arriving: it was late by more than {seconds} seconds',
    solve: 'Look at what the web server waits for, or raise readtimeout.',
  },
  LUAFCGID_REQUEST_PARAMS_LATE: {
    blame: 'peer',
    status: 408,
    message: 'the request parameters did not arrive within {seconds} seconds',
    solve: 'Look at the client, which stopped in the middle of a request; raise readtimeout if it needs longer.',
  },
  LUAFCGID_REQUEST_BODY_LATE: {
    blame: 'peer',
    status: 408,
    message: 'the request body stopped arriving: it was late by more than {seconds} seconds',
    solve: 'Let the web server buffer request bodies, or raise readtimeout if clients need longer.',
  },
  LUAFCGID_REQUEST_NO_ROOM: {
    blame: 'operator',
    status: 503,
    message:
      'all requests together hold {limit} bytes, and of those that do not run this is the largest: {bytes} bytes',
    solve: 'Raise bodytotal, lower maxpost or queue, or make scripts faster that get large bodies.',
  },
  LUAFCGID_CLIENT_IDLE: {
    blame: 'peer',
    status: 0,
    message: '{count} connections had no request for {seconds} seconds and were closed',
    solve: 'Nothing has to be done; raise idletimeout if a web server keeps its connections longer.',
  },
  LUAFCGID_CLIENT_ROOM: {
    blame: 'operator',
    status: 0,
    message: '{count} connections without a request were closed to make room for others: {limit} were open',
    solve: 'Raise connections if the web servers keep more than that.',
  },
  LUAFCGID_CLIENT_HALF_RECORD: {
    blame: 'peer',
    status: 0,
    message: 'a connection was closed: the rest of a record was late by more than {seconds} seconds',
    solve: 'Look at the client: it began a FastCGI record and did not go on.',
  },
  LUAFCGID_CLIENT_NOT_READING: {
    blame: 'peer',
    status: 0,
    message: 'a connection was closed: its client took nothing of what waits for it for {seconds} seconds',
    solve: 'Look at the client; raise sendtimeout if it reads that slowly.',
  },
  LUAFCGID_CLIENT_UNREAD: {
    blame: 'peer',
    status: 0,
    message: 'a connection was closed: unread answers hold {limit} bytes, and {bytes} of them wait for this client',
    solve: 'Let the web server buffer answers, or raise sendtotal for that many slow readers.',
  },
  LUAFCGID_SCRIPT_NOT_FOUND: {
    blame: 'peer',
    status: 404,
    message: 'no script {path}',
    solve: 'Check the path that the web server sends as SCRIPT_FILENAME.',
  },
  LUAFCGID_SCRIPT_NOT_A_FILE: {
    blame: 'peer',
    status: 404,
    message: '{path} is no regular file',
    solve: 'Scripts are files; for directories configure an index file in the web server.',
  },
  LUAFCGID_SCRIPT_TOO_LARGE: {
    blame: 'script',
    status: 500,
    message: '{path} is larger than a Lua source may be, {limit} bytes',
    solve: 'Keep data out of Lua files, or cut the file into modules.',
  },
  LUAFCGID_SCRIPT_UNREADABLE: {
    blame: 'operator',
    status: 403,
    message: 'script {path} may not be read: {reason}',
    solve: 'Give the user that luafcgid runs as read permission on the file and search permission on its directories.',
  },
  LUAFCGID_SCRIPT_NO_ROOM: {
    blame: 'operator',
    status: 503,
    message: 'script {path} cannot be read for now: {reason}',
    solve:
      'Raise the limit of open files (`ulimit -n`, LimitNOFILE) for EMFILE; for others the system needs more room.',
  },
  LUAFCGID_SCRIPT_OUTSIDE_ROOT: {
    blame: 'operator',
    status: 403,
    message: 'script {path} lies outside of root',
    solve: 'Move the script into one of the directories of root, or add its directory there.',
  },
  LUAFCGID_SCRIPT_EXTENSION: {
    blame: 'operator',
    status: 403,
    message: 'file {path} is no script: the names of scripts end with {extensions}',
    solve: 'Rename the file, or add its ending to extensions if such files are scripts.',
  },
  LUAFCGID_SCRIPT_NO_HANDLER: {
    blame: 'script',
    status: 500,
    message: '{path} defines no global function {handler}',
    solve: 'Define "function {handler}(env, con) … end" in the script, without local.',
  },
  LUAFCGID_ISOLATION_LATE: {
    blame: 'script',
    status: 500,
    message: 'luafcgid.isolation was called by a request',
    solve: 'Call it while the script is loaded: at the top of its file, outside of all functions.',
  },
  LUAFCGID_ISOLATION_ENGINE: {
    blame: 'operator',
    status: 500,
    message: 'isolation by request needs the embedded engine, which alone can copy states',
    solve: 'Set `engine = "embedded"`, or do without `isolation = "request"` and luafcgid.isolation.',
  },
  LUAFCGID_ISOLATION_RELOADS: {
    blame: 'script',
    status: 0,
    message: 'each request loads {path} anew (isolation by request), since its memory cannot be copied: {reason}',
    solve: 'Close files and end operations before the main chunk ends; raise `images` if the image is too large.',
  },
  LUAFCGID_PRELOAD_FAILED: {
    blame: 'script',
    status: 0,
    message: 'preloadscripts: {path} could not be loaded before the first request: {reason}',
    solve: 'Correct the script, or remove it from `preloadscripts`; until then its requests load it, or fail.',
  },
  LUAFCGID_IMAGE_NONE: {
    blame: 'script',
    status: 0,
    message: 'each new state loads {path} anew, since its memory cannot be copied: {reason}',
    solve: 'Nothing has to be done. States are made faster when files are closed before the main chunk ends.',
  },
  LUAFCGID_SCRIPT_TIMEOUT: {
    blame: 'script',
    status: 504,
    message: 'the script ran for more than {seconds} s (watchdog) and was stopped',
    solve: 'Make it faster, or give it more time: con:config("watchdog", seconds), as far as `watchdogmax` allows.',
  },
  LUAFCGID_SCRIPT_WATCHDOG: {
    blame: 'script',
    status: 500,
    message: 'con:config: a watchdog of {seconds} s, where watchdogmax allows {limit} s (0 is no limit)',
    solve: 'Ask for less time, or raise `watchdogmax` in the configuration.',
  },
  LUAFCGID_SCRIPT_HANGS: {
    blame: 'script',
    status: 504,
    message: '{script} ran for {ran} s (watchdog) and could not be stopped: its worker is replaced',
    solve:
      'Look for a pattern match, a C function or a compiled loop that takes this long; the other states of the worker are lost.',
  },
  LUAFCGID_SCRIPT_UNWANTED: {
    blame: 'peer',
    status: 500,
    message: 'the client has gone, and the script was stopped (onabort)',
    solve: 'Nothing is wrong. A script that should do its work to the end says con:config("onabort", "finish").',
  },
  LUAFCGID_SCRIPT_CRASHES: {
    blame: 'script',
    status: 0,
    message: '{script} has cost {times} workers within {minutes} minutes',
    solve:
      'Every worker it takes with it has to be started anew, with all its states: repair it or take it out of service.',
  },
  LUAFCGID_SCRIPT_FAILED: {
    blame: 'script',
    status: 500,
    message: '{message}',
    solve: 'The message names file and line; the traceback below it shows the way there.',
  },
  LUAFCGID_RESPONSE_STATUS: {
    blame: 'script',
    status: 500,
    message: 'no HTTP status: {status}',
    solve: 'Use three digits from 200 to 599, alone or with a phrase: con:status(404) or con:status("404 Not Found").',
  },
  LUAFCGID_RESPONSE_HEADER: {
    blame: 'script',
    status: 500,
    message: 'bad response header {header}: {fault}',
    solve: 'Call con:header(name, value) with plain text; encode what comes from users (luafcgid.urlencode).',
  },
  LUAFCGID_RESPONSE_HEAD_TOO_LARGE: {
    blame: 'script',
    status: 500,
    message: 'response headers of more than {limit} bytes',
    solve:
      'Put data into the body, or into fewer and shorter headers and cookies. Most web servers take much less (nginx: `fastcgi_buffer_size`).',
  },
  LUAFCGID_RESPONSE_SENT: {
    blame: 'script',
    status: 500,
    message: '{call} after the headers were sent',
    solve: 'Call it before con:flush(), before outputbuffer is full, or with buffering on.',
  },
  LUAFCGID_RESPONSE_FINISHED: {
    blame: 'script',
    status: 500,
    message: '{call} after con:finish()',
    solve:
      'The answer has ended for the client; con:log, con:gets, con:config, con:query, con:form and con:cookies go on working.',
  },
  LUAFCGID_WAITING_FULL: {
    blame: 'operator',
    status: 503,
    message: 'the script cannot wait: {waiting} requests wait already',
    solve: 'Make what they wait for faster, bound it with shorter limits, or raise waiting.',
  },
  LUAFCGID_REQUEST_OVERDUE: {
    blame: 'script',
    status: 504,
    message: 'the request took longer than {seconds} s and was stopped where it {place}',
    solve: 'Make it faster, or raise requesttime. The Lua stack in the log shows where it was.',
  },
  LUAFCGID_DATA_UNKNOWN: {
    blame: 'script',
    status: 500,
    message: 'there is no data source {name}; configured are {names}',
    solve: 'Name one of those, or add it to the setting data.',
  },
  LUAFCGID_DATA_DENIED: {
    blame: 'operator',
    status: 500,
    message: '{script} may not use the data source {name}',
    solve: 'Add the script, or its directory with a "/" at the end, to the field scripts of the data source.',
  },
  LUAFCGID_DATA_NONE: {
    blame: 'operator',
    status: 500,
    message: 'no data source is configured',
    solve: 'Name one in the setting data.',
  },
  LUAFCGID_POOL_FULL: {
    blame: 'operator',
    status: 503,
    message: 'all workers are busy and {queue} requests wait already',
    solve: 'Make scripts faster, or raise workers, clones or queue.',
  },
  LUAFCGID_POOL_TIMEOUT: {
    blame: 'operator',
    status: 503,
    message: 'no state came free within {seconds} seconds',
    solve: 'Make scripts faster, or raise workers, clones or queuetimeout.',
  },
  LUAFCGID_LISTEN_IN_USE: {
    blame: 'operator',
    status: 0,
    message: '{address} is in use: another server answers there',
    solve: 'Stop the other server, or choose another address with listen.',
  },
  LUAFCGID_LISTEN_NOT_A_SOCKET: {
    blame: 'operator',
    status: 0,
    message: '{path} exists and is no socket',
    solve: 'Remove the file if it is not needed, or choose another path with listen.',
  },
  LUAFCGID_LISTEN_NO_ROOM: {
    blame: 'operator',
    status: 0,
    message: 'no connection can be accepted for now ({reason}); {connections} are open',
    solve:
      'They wait and are accepted as soon as others end. Raise the limit of open files (`ulimit -n`, LimitNOFILE), or the setting connections.',
  },
  LUAFCGID_CONTROL_NOT_FOUND: {
    blame: 'operator',
    status: 0,
    message: 'no running server is found by {where}: {reason}',
    solve: 'Name its configuration, its pid file, or the address of its status socket.',
  },
  LUAFCGID_CONTROL_UNREACHABLE: {
    blame: 'operator',
    status: 0,
    message: 'no server answers at {address}: {reason}',
    solve: 'Check that the server runs, that its configuration has the setting status, and that this user may connect.',
  },
  LUAFCGID_CONTROL_NO_STATUS: {
    blame: 'operator',
    status: 0,
    message: 'the server of {where} has no status socket',
    solve: 'Set status in its configuration, for instance status = "/run/luafcgid/status.sock", and restart it.',
  },
  LUAFCGID_LISTEN_STRANGER: {
    blame: 'peer',
    status: 0,
    message: 'a connection from {address} was closed: it is not among those that may connect',
    solve:
      'If it is a web server of yours, add it to the setting allowed, or to FCGI_WEB_SERVER_ADDRS where that is set.',
  },
  LUAFCGID_LISTEN_ADDRS: {
    blame: 'operator',
    status: 0,
    message: 'FCGI_WEB_SERVER_ADDRS names "{address}", which is no IP address',
    solve: 'Write addresses separated by commas, such as "127.0.0.1,::1", or unset the environment variable.',
  },
  LUAFCGID_LISTEN_NOT_PASSED: {
    blame: 'operator',
    status: 0,
    message: 'listen = "{address}", but systemd has passed {passed}',
    solve: 'Let the socket unit start the service, compare its FileDescriptorName, or set listen to an address.',
  },
  LUAFCGID_LISTEN_UNUSED: {
    blame: 'operator',
    status: 0,
    message: 'systemd has passed the socket {name}, and listen does not name it: its clients get no answer',
    solve: 'Remove listen from the configuration, add "systemd" to it, or disable the socket unit.',
  },
  LUAFCGID_LISTEN_REMOVED: {
    blame: 'operator',
    status: 0,
    message: 'the socket file {path} was removed while the server listened there: it is made anew',
    solve: 'Nothing has to be done. Let no program clean up the folder of the socket while the server runs.',
  },
  LUAFCGID_LISTEN_FAILED: {
    blame: 'operator',
    status: 0,
    message: 'cannot listen on {address}: {reason}',
    solve: 'Check that the address belongs to this machine, that its directory exists, and that this user may use it.',
  },
  LUAFCGID_LISTEN_OWNER: {
    blame: 'operator',
    status: 0,
    message: 'the socket {path} cannot be given to user {user}, group {group}: {reason}',
    solve: 'Start the server as root, name a group that its user belongs to, or remove socketowner and socketgroup.',
  },
  LUAFCGID_USER_CHANGE: {
    blame: 'operator',
    status: 0,
    message: 'the server cannot become {user}: {reason}',
    solve: 'Start it as root, which may become any user, or remove user and group from the configuration.',
  },
  LUAFCGID_SERVER_SHOWS_ERRORS: {
    blame: 'operator',
    status: 0,
    message: 'error pages show source and Lua stacks (showerrors), and other machines may connect at {address}',
    solve: 'Set `showerrors = false` where others than developers see the pages.',
  },
  LUAFCGID_SERVER_NO_ROOT: {
    blame: 'operator',
    status: 0,
    message: 'root is not set: whoever may connect can have any Lua file of this machine run that the server may read',
    solve: 'Set root to the directories of the scripts.',
  },
  LUAFCGID_USER_ROOT: {
    blame: 'operator',
    status: 0,
    message: 'scripts run as root: one that is broken into has the whole machine, or the whole container',
    solve: 'Set user in the configuration (`serve` and `run` do not heed it), or start the server as another user.',
  },
  LUAFCGID_LOG_FILE: {
    blame: 'operator',
    status: 0,
    message: 'cannot open the log file {file}: {reason}',
    solve: 'Create its directory and let the user that luafcgid runs as write there, or change {option}.',
  },
  LUAFCGID_LOG_UNTRUSTED: {
    blame: 'operator',
    status: 0,
    message: 'root does not open the log file {file}: {reason}',
    solve:
      'Find out who has put it there. Name a file whose path has no links of other users with {option}, or start the server as the user that owns the folder.',
  },
  LUAFCGID_LOG_SYSLOG: {
    blame: 'operator',
    status: 0,
    message: 'cannot log to {log}: {reason}',
    solve: 'It needs Linux, the npm package koffi and a log service that listens there; else set {option} to a file.',
  },
  LUAFCGID_LOG_REOPEN: {
    blame: 'operator',
    status: 0,
    message: 'cannot open {log} anew: {reason}',
    solve: 'The lines go where they went before. Correct the cause and send SIGUSR1 again.',
  },
  LUAFCGID_LOG_WRITE: {
    blame: 'operator',
    status: 0,
    message: 'cannot write to {log}, the {option}: {reason}',
    solve: 'Lines are counted until it works again; free some space, or look at who reads them.',
  },
  LUAFCGID_LOG_LOST: {
    blame: 'operator',
    status: 0,
    message: '{lines} lines could not be written to {log}, the {option}',
    solve: 'They came before this message and are lost. The disk was full, or whoever reads the log did not.',
  },
  LUAFCGID_LOG_BEHIND: {
    blame: 'operator',
    status: 0,
    message: '{lines} lines were lost before they reached the logs',
    solve: 'There were more than can be written. Raise loglevel, or find out who causes so many.',
  },
  LUAFCGID_SERVICE_MANAGER: {
    blame: 'operator',
    status: 0,
    message: 'the service manager cannot be told how the service is, at {socket}: {reason}',
    solve: 'Telling it needs Linux and the npm package koffi; or use Type=exec and no WatchdogSec in the unit.',
  },
  LUAFCGID_SERVICE_BACKGROUND: {
    blame: 'operator',
    status: 0,
    message: 'the server in the background did not start: {reason}',
    solve: 'Look into its log; set daemonize = false to see all that it says.',
  },
  LUAFCGID_SERVICE_RUNNING: {
    blame: 'operator',
    status: 0,
    message: 'a server runs already: process {pid}, says {file}',
    solve: 'Stop it first, or choose another pidfile for a second server.',
  },
  LUAFCGID_SERVICE_PIDFILE: {
    blame: 'operator',
    status: 0,
    message: 'cannot use the pid file {file}: {reason}',
    solve: 'Let the server write to its directory, or choose another file with pidfile.',
  },
  LUAFCGID_WORKER_START: {
    blame: 'bug',
    status: 0,
    message: 'a worker did not start: {reason}',
    solve: 'Install it again (`npm ci` in a clone, or `npm install -g` as before); report this if that does not help.',
  },
  LUAFCGID_BUG: {
    blame: 'bug',
    status: 500,
    message: 'luafcgid itself failed: {detail}',
    solve: 'Report this with the text above and the log lines around it.',
  },
  LUAFCGID_RELOAD_REFUSED: {
    blame: 'operator',
    status: 0,
    message: 'not reloaded, and all goes on as before: {reason}',
    solve: 'Correct the configuration (luafcgid check FILE) and send SIGHUP again.',
  },
  LUAFCGID_RELOAD_KEPT: {
    blame: 'operator',
    status: 0,
    message: 'reloaded without what only a start can change: {settings}',
    solve: 'Restart the server for these settings.',
  },
  LUAFCGID_SERVER_STOPPED: {
    blame: 'operator',
    status: 503,
    message: 'the server was stopped before the script had ended',
    solve: 'A stop waits for scripts that run (draintimeout); shorten what the script does, or let it do it in parts.',
  },
  LUAFCGID_WORKER_HANGS: {
    blame: 'script',
    status: 0,
    message: 'a worker thread hangs in native code and cannot be ended; {load}; {end}',
    solve: 'The line before this one names the script. jit.off() in a script lets LuaJIT be stopped.',
  },
  LUAFCGID_SERVER_RESTARTS: {
    blame: 'script',
    status: 0,
    message: 'the server restarts itself to end {threads} threads that hang',
    solve: 'Nothing has to be done: requests under way are finished, and new ones wait for a moment.',
  },
  LUAFCGID_SERVER_DESCRIPTORS: {
    blame: 'operator',
    status: 0,
    message: 'the process may not open as many files as it needs: {reason}',
    solve: 'Raise the limit of open files (`ulimit -n`, LimitNOFILE in the unit), or lower workers.',
  },
  LUAFCGID_SERVER_REPLACED: {
    blame: 'operator',
    status: 0,
    message: 'version {version} runs, and its program was replaced by another: no new worker is started',
    solve: 'Restart the server to run what is installed now. Until then the workers that are there serve on.',
  },
  LUAFCGID_WORKER_GONE: {
    blame: 'bug',
    status: 500,
    message: 'the worker that ran the request ended: {reason}',
    solve: 'Another worker takes its place. Report this with the log lines around it.',
  },
  LUAFCGID_CONFIG_INVALID: {
    blame: 'operator',
    status: 0,
    message: '{file}: {count}',
    solve: 'Nothing was started. Correct the faults listed; `luafcgid check FILE` lists them again.',
  },
  LUAFCGID_CONFIG_FILE: {
    blame: 'operator',
    status: 0,
    message: 'cannot read the configuration: {reason}',
    solve: 'Check the name of the file and its permissions.',
  },
  LUAFCGID_CONFIG_STRANGER: {
    blame: 'operator',
    status: 0,
    message: '{file} belongs to user {user}, and no configuration was named',
    solve: 'Name the file on the command line if you trust it, or start the server in another directory.',
  },
  LUAFCGID_CONFIG_SCRIPT: {
    blame: 'operator',
    status: 0,
    message: '{kind}: {detail}',
    solve: 'The configuration is a Lua script and must run without an error: correct the line named.',
  },
  LUAFCGID_CONFIG_UNKNOWN: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: there is no such setting',
    solve: 'Correct the name, or write `local` before it if it is a variable of your own.',
  },
  LUAFCGID_CONFIG_VALUE: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: must be {allowed}',
    solve: 'Correct the value, or remove it to have the default.',
  },
  LUAFCGID_CONFIG_PLACE: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: {reason}',
    solve: 'Create the file or directory, give the server access to it, or correct its name.',
  },
  LUAFCGID_CONFIG_HOOK: {
    blame: 'operator',
    status: 0,
    message: 'the hook {name}() of the configuration failed: {detail}',
    solve: 'Correct the function in the configuration file.',
  },
  LUAFCGID_LUA_ENGINE: {
    blame: 'operator',
    status: 0,
    message: 'the embedded Lua engine cannot be used: {detail}',
    solve: 'Install it again: `npm ci` in a clone, or `npm install -g` as before.',
  },
  LUAFCGID_LUA_ADDRESS_SPACE: {
    blame: 'operator',
    status: 503,
    message: 'the system has no address space for another Lua state ({reason})',
    solve:
      'Each takes about 10 GiB of it. Lift the limit (`ulimit -v`), start with NODE_OPTIONS=--disable-wasm-trap-handler, or lower workers.',
  },
  LUAFCGID_LUA_SECOND_LIBRARY: {
    blame: 'operator',
    status: 0,
    message: '{engine} cannot be loaded into a process that has loaded {loaded}',
    solve: 'Restart the server: a reload can change to a native engine, but not from one to another.',
  },
  LUAFCGID_LUA_LIBRARY: {
    blame: 'operator',
    status: 0,
    message: 'the Lua engine {engine} cannot be used: {detail}',
    solve: 'Install the library (Debian, Ubuntu: apt-get install {package}), or name its file with lualib.',
  },
  LUAFCGID_FFI_STACK: {
    blame: 'bug',
    status: 0,
    message: 'native Lua has a C stack of {size} bytes in this thread and needs {needed}',
    solve:
      'The package koffi is not the version that luafcgid was made for. Install luafcgid again (`npm ci` in a clone, or `npm install -g` as before); report this if that does not help.',
  },
  LUAFCGID_IO_EPOLL: {
    blame: 'operator',
    status: 0,
    message: 'io = "epoll" cannot be had: {reason}',
    solve: 'Set io = "auto" or "node"; epoll needs Linux and the npm package koffi for this processor.',
  },
  LUAFCGID_RUN_FILE: {
    blame: 'operator',
    status: 0,
    message: 'cannot read {file}: {reason}',
    solve: 'Name a file that exists and that this user may read.',
  },
  LUAFCGID_CONVERT_FILE: {
    blame: 'operator',
    status: 0,
    message: '{file} could not be converted: {reason}',
    solve: 'Name a configuration of luafcgid2, which is a Lua file that sets WorkerThreads and the like.',
  },
  LUAFCGID_NEW_NAME: {
    blame: 'operator',
    status: 0,
    message: 'no application can be named {name}',
    solve: 'Name it with letters, digits, - and _, at most 64 of them.',
  },
  LUAFCGID_NEW_FOLDER: {
    blame: 'operator',
    status: 0,
    message: 'cannot make an application in {folder}: {reason}',
    solve: 'Name a folder that does not exist yet, in one where you may write.',
  },
  LUAFCGID_TEST_FILES: {
    blame: 'operator',
    status: 0,
    message: 'no test file below {folder}: {reason}',
    solve: 'Write tests into files whose names end with _test.lua; docs/lua-api.md shows how.',
  },
  LUAFCGID_GATEWAY_ROOT: {
    blame: 'operator',
    status: 0,
    message: 'cannot serve the folder {root}: {detail}',
    solve: 'Name a folder that exists and that this user may read.',
  },
  LUAFCGID_GATEWAY_PORT: {
    blame: 'operator',
    status: 0,
    message: 'port {port} on {host} is in use by another program',
    solve:
      'Choose another port, e.g. with `--port 8081` or PORT=8081 in the environment, or stop the program that uses this one.',
  },
  LUAFCGID_GATEWAY_LISTEN: {
    blame: 'operator',
    status: 0,
    message: 'cannot listen for HTTP on {host}, port {port}: {detail}',
    solve: 'Choose an address of this machine and a port above 1023, which need no special rights.',
  },
  LUAFCGID_GATEWAY_UPSTREAM: {
    blame: 'operator',
    status: 502,
    message: 'no answer from the FastCGI server at {address}: {detail}',
    solve: 'Start the FastCGI server, or check that it listens there; its log says why it closed a connection.',
  },
  LUAFCGID_GATEWAY_ANSWER: {
    blame: 'operator',
    status: 502,
    message: 'the FastCGI server ended its answer {detail}',
    solve: 'Look at the log of the FastCGI server and at the script that made the answer.',
  },
  LUAFCGID_GATEWAY_OVERLOADED: {
    blame: 'operator',
    status: 503,
    message: 'the FastCGI server has more requests than it takes',
    solve: 'Try again in a moment; raise `queue` or `states` in the configuration when it happens often.',
  },
  LUAFCGID_IO_LOST: {
    blame: 'bug',
    status: 503,
    message: 'the I/O thread ended during the operation',
    solve: 'Try again: another thread serves now. The log says why it ended; report that.',
  },
  LUAFCGID_SHARED_NONE: {
    blame: 'operator',
    status: 500,
    message: 'the configuration names no shared dictionary',
    solve: 'Name one with the option shared: shared = { cache = 16 * 2^20 }.',
  },
  LUAFCGID_SHARED_UNKNOWN: {
    blame: 'script',
    status: 500,
    message: 'there is no shared dictionary {name}; the option shared names {names}',
    solve: 'Correct the name in the script, or add the dictionary to the option shared.',
  },
  LUAFCGID_LOCK_FULL: {
    blame: 'script',
    status: 503,
    message: 'too many locks are held, or too many requests wait for one',
    solve:
      'All requests together hold 8192 locks and wait for as many. Lock fewer names in one request, for a shorter time.',
  },
  LUAFCGID_LOCK_MANY: {
    blame: 'script',
    status: 500,
    message: 'a request holds or waits for at most {most} locks at a time',
    solve: 'Unlock what is done with, or take one lock for all that belongs together.',
  },
  LUAFCGID_LOCK_BLOCKED: {
    blame: 'script',
    status: 500,
    message:
      'cannot wait for a lock at {place}: Lua cannot be suspended inside of this construct, and who holds the lock may need this worker',
    solve: 'Take the lock outside of the iterator, metamethod, sort or gsub callback, or do not wait (lock.try).',
  },
  LUAFCGID_SHARED_BUSY: {
    blame: 'bug',
    status: 503,
    message: 'a shared dictionary did not become free for 5 s',
    solve: 'Try again. A thread held its lock, or the machine gave that thread no time; report it if it happens again.',
  },
  LUAFCGID_DATA_DRIVER: {
    blame: 'operator',
    status: 500,
    message: 'a data source is {kind}, for which the package {package} is needed: {reason}',
    solve: 'Install it beside luafcgid with npm, or remove the data source.',
  },
  LUAFCGID_DATA_SOURCE: {
    blame: 'operator',
    status: 500,
    message: 'there is no data source {source} (any more)',
    solve: 'Look at the option data: it names all data sources.',
  },
  LUAFCGID_DATA_ACTION: {
    blame: 'script',
    status: 500,
    message: 'data source {source} cannot do this (action {action})',
    solve: 'Look which kind of data source it is: a database takes SQL, Redis takes commands.',
  },
  LUAFCGID_DATA_CONNECT: {
    blame: 'operator',
    status: 503,
    message: 'cannot connect to data source {source}: {reason}',
    solve: 'Check that its server runs and what the option data says of it; luafcgid check --connect tries it.',
  },
  LUAFCGID_DATA_DOWN: {
    blame: 'operator',
    status: 503,
    message: 'data source {source} is down, and is tried again in {seconds} s: {reason}',
    solve: 'Check that its server runs. Operations fail at once until it can be reached again.',
  },
  LUAFCGID_DATA_WAIT: {
    blame: 'operator',
    status: 503,
    message: 'no connection of data source {source} could be had within {seconds} s: {use}',
    solve:
      'Look for slow queries and long transactions, or for a server that is slow to accept connections; raise its connections or waittimeout.',
  },
  LUAFCGID_DATA_QUEUE: {
    blame: 'operator',
    status: 503,
    message: 'too many operations wait for a connection of data source {source}: {queue}',
    solve: 'Look for slow queries and long transactions; raise its connections or queue.',
  },
  LUAFCGID_DATA_TIMEOUT: {
    blame: 'script',
    status: 503,
    message: 'an operation on data source {source} took more than {seconds} s and was broken off',
    solve: 'Make the query faster, or raise querytimeout of the data source.',
  },
  LUAFCGID_DATA_CANCELED: {
    blame: 'operator',
    status: 503,
    message: 'data source {source}: {reason}',
    solve: 'Somebody told its server to break off the statement, or it has a limit of its own.',
  },
  LUAFCGID_DATA_LOST: {
    blame: 'operator',
    status: 503,
    message: 'the connection to data source {source} was lost during an operation: {reason}',
    solve: 'Look at the log of its server. What the operation changed outside of a transaction may be there.',
  },
  LUAFCGID_DATA_COMMIT_UNKNOWN: {
    blame: 'operator',
    status: 503,
    message: 'data source {source}: whether a COMMIT has succeeded is not known: {reason}',
    solve: 'Look at the data before the transaction is repeated: it may be there already.',
  },
  LUAFCGID_DATA_TRANSACTION: {
    blame: 'script',
    status: 500,
    message: 'data source {source}: a transaction went wrong: {reason}',
    solve: 'Use db:transaction, which begins and ends it; statements like BEGIN and COMMIT are not for scripts.',
  },
  LUAFCGID_DATA_CURSOR: {
    blame: 'script',
    status: 500,
    message: 'data source {source}: the cursor is closed',
    solve: 'Fetch from a cursor in the request that opened it, and only until it gives no more rows.',
  },
  LUAFCGID_DATA_QUERY: {
    blame: 'script',
    status: 500,
    message: 'data source {source}: {reason}',
    solve: 'Its server has refused the operation: correct it as the message says.',
  },
  LUAFCGID_DATA_ARGUMENT: {
    blame: 'script',
    status: 500,
    message: 'wrong arguments: {reason}',
    solve: 'Give one value for each placeholder: string, number, boolean, db.null, db.bytes or db.list.',
  },
  LUAFCGID_DATA_STATEMENTS: {
    blame: 'script',
    status: 500,
    message: 'more than one SQL statement in one call',
    solve: 'Make one call for each; those that belong together go into db:transaction.',
  },
  LUAFCGID_DATA_RESULT_SIZE: {
    blame: 'script',
    status: 500,
    message: 'the result of data source {source} is larger than its maxresult',
    solve: 'Ask for fewer rows, read them with db:each or a cursor, or raise maxresult.',
  },
  LUAFCGID_DATA_COMMAND: {
    blame: 'script',
    status: 500,
    message: 'data source {source}: the command {command} is refused: {reason}',
    solve: 'Do without it: connections are shared by all scripts.',
  },
  LUAFCGID_DATA_RUN_OVER: {
    blame: 'script',
    status: 503,
    message: 'the request of this operation is over',
    solve: 'Nothing has to be done: nobody waits for it.',
  },
  LUAFCGID_HTTP_OFF: {
    blame: 'operator',
    status: 500,
    message: 'scripts may send no HTTP requests: the setting http allows no server',
    solve: 'Name the servers in the configuration: http = { allow = { "api.example.com:443" } }.',
  },
  LUAFCGID_HTTP_SCRIPT: {
    blame: 'operator',
    status: 500,
    message: '{script} may send no HTTP requests',
    solve: 'Add the script, or its directory with a "/" at the end, to the field scripts of the setting http.',
  },
  LUAFCGID_HTTP_DRIVER: {
    blame: 'operator',
    status: 500,
    message: 'the setting http needs the package {package}: {reason}',
    solve: 'Install it beside luafcgid with npm, or remove the setting.',
  },
  LUAFCGID_HTTP_ARGUMENT: {
    blame: 'script',
    status: 500,
    message: 'no request that can be sent: {reason}',
    solve: 'Correct the URL or the options: docs/lua-api.md has them all.',
  },
  LUAFCGID_HTTP_DENIED: {
    blame: 'operator',
    status: 500,
    message: 'requests to {server} are not allowed; allowed are {allowed}',
    solve: 'Add it to the field allow of the setting http, if scripts shall reach it.',
  },
  LUAFCGID_HTTP_BLOCKED: {
    blame: 'operator',
    status: 500,
    message: '{server} is at {address}, which is no public address: nothing was sent',
    solve: 'If scripts shall reach it there, add its network to the field private of the setting http.',
  },
  LUAFCGID_HTTP_DNS: {
    blame: 'operator',
    status: 503,
    message: 'the name of {server} cannot be resolved: {reason}',
    solve: 'Check the name, and that this machine resolves names.',
  },
  LUAFCGID_HTTP_CONNECT: {
    blame: 'operator',
    status: 503,
    message: '{server} cannot be reached: {reason}',
    solve: 'Check that the server runs and that this machine may connect to it.',
  },
  LUAFCGID_HTTP_TLS: {
    blame: 'operator',
    status: 503,
    message: 'no secure connection to {server}: {reason}',
    solve:
      'Its certificate has to be valid for its name; name one that only you trust by the field ca of the setting http.',
  },
  LUAFCGID_HTTP_DOWN: {
    blame: 'operator',
    status: 503,
    message: '{server} is down, and is tried again in {seconds} s: {reason}',
    solve: 'Check that the server runs. Requests fail at once until it can be reached again.',
  },
  LUAFCGID_HTTP_WAIT: {
    blame: 'operator',
    status: 503,
    message: 'no connection to {server} could be had within {seconds} s: {use}',
    solve: 'Look why it answers slowly; raise connections or waittimeout of the setting http.',
  },
  LUAFCGID_HTTP_QUEUE: {
    blame: 'operator',
    status: 503,
    message: 'too many requests wait for a connection to {server}: {queue}',
    solve: 'Look why it answers slowly; raise connections or queue of the setting http.',
  },
  LUAFCGID_HTTP_SERVERS: {
    blame: 'operator',
    status: 503,
    message: 'no connection to {server}: {servers} others are in use already',
    solve: 'Raise servers of the setting http.',
  },
  LUAFCGID_HTTP_TIMEOUT: {
    blame: 'script',
    status: 503,
    message: 'a request to {server} took more than {seconds} s ({what}) and was broken off',
    solve: 'Ask for less, or raise timeout or answertimeout of the setting http.',
  },
  LUAFCGID_HTTP_CLOSED: {
    blame: 'operator',
    status: 503,
    message: 'the connection to {server} was lost before its answer was complete: {reason}',
    solve: 'Look at the log of that server. Whether it has carried out the request is not known.',
  },
  LUAFCGID_HTTP_ANSWER: {
    blame: 'operator',
    status: 503,
    message: 'what {server} has answered is no HTTP: {reason}',
    solve: 'Check that a web server is there, and whether the URL begins with the right one of http and https.',
  },
  LUAFCGID_HTTP_SIZE: {
    blame: 'script',
    status: 500,
    message: '{what} has more than {limit} bytes (request to {server})',
    solve: 'Read it with http.stream, ask for less, or raise maxbody of the setting http.',
  },
  LUAFCGID_HTTP_REDIRECT: {
    blame: 'script',
    status: 500,
    message: 'the redirect of {server} was not followed: {reason}',
    solve: 'Allow more redirects, or ask for the address that it leads to.',
  },
  LUAFCGID_HTTP_STREAM: {
    blame: 'script',
    status: 500,
    message: 'the answer cannot be read: {reason}',
    solve: 'Read it in the request that opened it, one piece after the other, until there is no more.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** Fills the placeholders of a catalogue message. */
function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** An error of the catalogue, with its values filled in. */
export class LuafcgidError extends Error {
  override readonly name = 'LuafcgidError';
  readonly code: ErrorCode;
  readonly blame: Blame;
  /** HTTP status of the answer, 0 when the error does not belong to one request. */
  readonly status: number;
  readonly solve: string;
  /** What filled the placeholders: with it the error can be made again in another thread. */
  readonly values: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, values: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    const entry: CatalogueEntry = catalogue[code];
    super(fill(entry.message, values), cause === undefined ? undefined : { cause });
    this.code = code;
    this.values = values;
    this.blame = entry.blame;
    this.status = entry.status;
    this.solve = fill(entry.solve, values);
  }
}

/** One text for the log. What is not in the catalogue is a bug of the server, told with its stack. */
export function describeError(error: unknown): string {
  if (error instanceof LuafcgidError) return `${error.code}: ${error.message}. ${error.solve}`;
  const detail = error instanceof Error ? error.stack : String(error);
  return describeError(new LuafcgidError('LUAFCGID_BUG', { detail }, error));
}

const WANT_OF_ROOM: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Whether an error of the system says nothing of the file it is about: there was no room to look at it just then. */
export function isForWantOfRoom(error: unknown): boolean {
  return WANT_OF_ROOM.has((error as NodeJS.ErrnoException).code);
}
