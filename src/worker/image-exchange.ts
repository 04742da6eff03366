/**
 * How workers come to each other's images: the main thread keeps a list of images that workers have offered, in memory that all
 * of them can read, and hands one out to a worker that asks for it. A worker never waits long for the answer: it can load the script.
 */

import { type ImageChannel, type ImageNews, type OfferedImage, placeOf } from '../channel/image-messages.js';
import type { ByteString, SharedStateImage } from '../lua/state.js';
import type { MainPort } from './main-port.js';
import type { UsedFile } from './used-files.js';

type Offered = OfferedImage<SharedStateImage, ReadonlyMap<ByteString, UsedFile>>;

/** A main thread that is busy for longer is not waited for. */
const ANSWER_MS = 50;

export class ImageExchange {
  readonly #answered: Int32Array;
  readonly #index: Int32Array;
  readonly #port: Pick<MainPort, 'tell' | 'takeAnswers'>;
  readonly #worker: number;
  #questions = 0;
  #offers = 0;

  constructor({ answered, index }: ImageChannel, port: Pick<MainPort, 'tell' | 'takeAnswers'>, worker: number) {
    this.#answered = new Int32Array(answered);
    this.#index = new Int32Array(index);
    this.#port = port;
    this.#worker = worker;
  }

  /** An image of the script that another worker has made. Its files may have changed since. */
  ask(script: ByteString): Offered | undefined {
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
  offer(image: Omit<Offered, 'key'>): string {
    this.#offers += 1;
    const key = `${this.#worker}.${this.#offers}`;
    this.#tell({ offered: { ...image, key } });
    return key;
  }

  /** This worker uses an image no more that it has offered or asked for. */
  drop(script: ByteString, key: string): void {
    this.#tell({ dropped: key, script });
  }

  #receive(question: number): Offered | undefined {
    let found: Offered | undefined;
    for (const { image, question: answered } of this.#port.takeAnswers()) {
      if (answered === question) found = image as Offered | undefined;
      // An answer that came too late: its image is not used.
      else if (image !== undefined) this.drop(image.script, image.key);
    }
    return found;
  }

  #tell(news: ImageNews): void {
    this.#port.tell({ images: news });
  }
}
