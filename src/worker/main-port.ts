/** What the main thread answers this worker, which never returns to its event loop: it is read when there is something. */

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { KeyResult } from '../channel/derivation-messages.js';
import type { ImageAnswer } from '../channel/image-messages.js';

export class MainPort {
  readonly #port: MessagePort;
  readonly #answers: ImageAnswer[] = [];
  readonly #keys: KeyResult[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
  }

  tell(message: object): void {
    this.#port.postMessage(message);
  }

  /** Answers to questions for images, in their order. */
  takeAnswers(): ImageAnswer[] {
    this.#read();
    return this.#answers.splice(0);
  }

  /** Keys that were made from passwords. */
  takeKeys(): KeyResult[] {
    this.#read();
    return this.#keys.splice(0);
  }

  #read(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const message = next.message as ImageAnswer | KeyResult;
      if ('job' in message) this.#keys.push(message);
      else this.#answers.push(message);
    }
  }
}
