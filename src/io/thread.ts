/**
 * The entry of the I/O thread. It holds the drivers and the connections to data sources for the whole server, and runs an
 * event loop; workers never do while they serve.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { describeError } from '../base/errors.js';
import { IoService } from './service.js';
import { createSource } from './sources-by-kind.js';
import type { FromIoThread, IoThreadData, ToIoThread } from './thread-messages.js';
import { createWaker } from './waker.js';

const { common } = workerData as IoThreadData;
const port = parentPort as MessagePort;
const tell = (message: FromIoThread): void => port.postMessage(message);
const service = new IoService(common);

async function carryOut(message: ToIoThread): Promise<Extract<FromIoThread, { kind: 'answer' }>['result']> {
  switch (message.kind) {
    case 'addSource':
      service.addSource(
        message.id,
        createSource(message.source, (level, text) => tell({ kind: 'log', level, text })),
      );
      return undefined;
    case 'removeSource':
      await service.removeSource(message.id);
      return undefined;
    case 'addClient':
      service.addClient(
        message.id,
        message.channel,
        await createWaker(message.parkedAt),
        message.parkedAt.usesFutex ? await import('../linux/descriptors.js') : undefined,
      );
      return undefined;
    case 'removeClient':
      service.removeClient(message.id, message.hasEnded);
      return undefined;
    case 'probe':
      return await service.source(message.id)?.probe();
    case 'status':
      return service.status();
    case 'stop':
      await Promise.all([...service.sources].map((source) => source.close()));
      return undefined;
  }
}

/** One after the other: a client is known before what is said of it next. */
let last = Promise.resolve();

port.on('message', (message: ToIoThread) => {
  const answer = async (): Promise<void> => {
    const number = 'number' in message ? message.number : undefined;
    try {
      const result = await carryOut(message);
      if (number !== undefined) tell({ kind: 'answer', number, result });
    } catch (error) {
      if (number === undefined) throw error;
      tell({ kind: 'failure', number, message: describeError(error) });
    }
  };
  const answered = last.then(answer);
  // What takes long waits for what came before it, and nothing waits for it.
  if (message.kind !== 'probe' && message.kind !== 'removeSource') last = answered;
});
