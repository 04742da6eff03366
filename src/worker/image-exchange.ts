/**
 * How workers come to each other's images: the main thread keeps a list of images that workers have offered, in memory that all
 * of them can read, and hands one out to a worker that asks for it. A worker never waits long for the answer: it can load the script.
 */

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { ByteString, SharedStateImage } from '../lua/state.js';
import type { UsedFile } from './used-files.js';

/** An image that other workers may use. */
export interface OfferedImage {
  readonly script: ByteString;
  /** Unlike that of any other image. */
  readonly key: string;
  readonly lua: SharedStateImage;
  readonly files: ReadonlyMap<ByteString, UsedFile>;
  /** What a state with the script takes. */
  readonly memoryBytes: number;
}

/** What a worker tells the main thread. */
export type ImageNews =
  | { readonly offered: OfferedImage }
  | { readonly wanted: ByteString; readonly question: number }
  /** It uses this image no more. */
  | { readonly dropped: string; readonly script: ByteString };

/** What the main thread answers a question. */
export interface ImageAnswer {
  readonly question: number;
  readonly image: OfferedImage | undefined;
}

/** What a worker and the main thread share for this. */
export interface ImageChannel {
  /** One word: the number of the last question that was answered. */
  readonly answered: SharedArrayBuffer;
  /** The same for all workers: how many images are kept of scripts with the same hash (`placeOf`). */
  readonly index: SharedArrayBuffer;
}

/** Words of `ImageChannel.index`. */
export const INDEX_WORDS = 1024;

/** Which word of the index counts images of a script. */
export function placeOf(script: ByteString): number {
  let hash = 0;
  for (let at = 0; at < script.length; at += 1) hash = (Math.imul(hash, 31) + script.charCodeAt(at)) | 0;
  return hash & (INDEX_WORDS - 1);
}

/** A main thread that is busy for longer is not waited for. */
const ANSWER_MS = 50;

export class ImageExchange {
  readonly #answered: Int32Array;
  readonly #index: Int32Array;
  readonly #port: MessagePort;
  readonly #worker: number;
  #questions = 0;
  #offers = 0;

  /** @param port to the main thread, which sends nothing else */
  constructor({ answered, index }: ImageChannel, port: MessagePort, worker: number) {
    this.#answered = new Int32Array(answered);
    this.#index = new Int32Array(index);
    this.#port = port;
    this.#worker = worker;
  }

  /** An image of the script that another worker has made. Its files may have changed since. */
  ask(script: ByteString): OfferedImage | undefined {
    if (Atomics.load(this.#index, placeOf(script)) === 0) return undefined;
    this.#questions += 1;
    const question = this.#questions;
    this.#tell({ wanted: script, question });
    const endMs = performance.now() + ANSWER_MS;
    for (;;) {
      const answered = Atomics.load(this.#answered, 0);
      if (answered === question) break;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return undefined;
      Atomics.wait(this.#answered, 0, answered, leftMs);
    }
    return this.#receive(question);
  }

  /** Offers an image to the other workers. Gives its key. */
  offer(image: Omit<OfferedImage, 'key'>): string {
    this.#offers += 1;
    const key = `${this.#worker}.${this.#offers}`;
    this.#tell({ offered: { ...image, key } });
    return key;
  }

  /** This worker uses an image no more that it has offered or asked for. */
  drop(script: ByteString, key: string): void {
    this.#tell({ dropped: key, script });
  }

  #receive(question: number): OfferedImage | undefined {
    let found: OfferedImage | undefined;
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const { image, question: answered } = next.message as ImageAnswer;
      if (answered === question) found = image;
      // An answer that came too late: its image is not used.
      else if (image !== undefined) this.drop(image.script, image.key);
    }
    return found;
  }

  #tell(news: ImageNews): void {
    this.#port.postMessage({ images: news });
  }
}
