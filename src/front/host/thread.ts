/**
 * The thread of the front: turns of the epoll driver, one after the other. It returns to its event loop only while a
 * file of a spool is being written or read; calls of the main thread lie in the port until the bell tells of them.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { futexSleeper } from '../../linux/futex.js';
import { nameThread } from '../../linux/threads.js';
import type { FrontReport } from '../../status/model.js';
import { EpollDriver } from '../io/epoll/driver.js';
import { FrontLogs } from '../logging/front-logs.js';
import { LineSender } from '../logging/line-credits.js';
import { FrontApi, type FrontEvents, reportsTo } from './front-api.js';
import type { Call, FromFront, FrontThreadData } from './thread-messages.js';

const { settings, bell, lineCredits } = workerData as FrontThreadData;
const port = parentPort as MessagePort;
const tell = (message: FromFront): void => port.postMessage(message);

const lines = new LineSender(lineCredits, {
  log: (...args) => tell({ kind: 'event', name: 'log', args }),
  access: (...args) => tell({ kind: 'event', name: 'access', args }),
});
const events: FrontEvents = {
  log: (level, text, about) => lines.log(level, text, about),
  access: (text) => lines.access(text),
  flush: (isLast) => lines.flush(isLast),
  lookUp: (...args) => tell({ kind: 'event', name: 'lookUp', args }),
  slow: (...args) => tell({ kind: 'event', name: 'slow', args }),
  interrupt: (...args) => tell({ kind: 'event', name: 'interrupt', args }),
  abandon: (...args) => tell({ kind: 'event', name: 'abandon', args }),
  stack: (...args) => tell({ kind: 'event', name: 'stack', args }),
  drained: () => tell({ kind: 'event', name: 'drained', args: [] }),
  allClosed: () => tell({ kind: 'event', name: 'allClosed', args: [] }),
};

let isEnding = false;
const logs = new FrontLogs(settings.logs, events);
const driver = new EpollDriver(settings, bell, { ...reportsTo(events, logs), rung: takeCalls });
const service = new FrontApi(settings, events, logs, driver, futexSleeper());

/** Does what the main thread has asked for. */
function takeCalls(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    const call = next.message as Call;
    const { number } = call;
    try {
      answer(number, carryOut(call));
    } catch (error) {
      const { message, code, stack } = error as NodeJS.ErrnoException;
      tell({ kind: 'failure', number, failure: { message, code, stack } });
    }
  }
}

/** The memory of the largest answer is handed over instead of being copied. */
function answer(number: number, result: unknown): void {
  const message: FromFront = { kind: 'answer', number, result };
  const table = (result as Partial<FrontReport> | undefined)?.scripts?.numbers;
  port.postMessage(message, table === undefined ? [] : [table.buffer as ArrayBuffer]);
}

function carryOut(call: Call): unknown {
  switch (call.name) {
    case 'accept':
      return 'fd' in call && driver.accept(call.fd, call.isTcp);
    case 'stopAccepting':
      return 'fd' in call && driver.stopListeningOn(call.fd);
    case 'end':
      isEnding = true;
      return service.destroy();
    default: {
      const method = service[call.name] as (...args: readonly unknown[]) => unknown;
      return method.apply(service, 'args' in call ? [...call.args] : []);
    }
  }
}

function run(): void {
  while (!isEnding) {
    driver.turn();
    if (driver.needsEventLoop) {
      setImmediate(run);
      return;
    }
  }
}

nameThread('luafcgid front');
takeCalls();
run();
