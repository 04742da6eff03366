/** Images of scripts that workers have offered to each other. Each is kept as long as a worker uses it, and so counts it. */

import {
  type ImageAnswer,
  type ImageNews,
  INDEX_WORDS,
  type OfferedImage,
  placeOf,
} from '../channel/image-messages.js';

interface Kept {
  readonly image: OfferedImage;
  /** Workers that use it. */
  readonly users: Set<number>;
}

export class ImageStore {
  /** How many images are kept of scripts with the same hash: nobody asks in vain. */
  readonly index = new SharedArrayBuffer(INDEX_WORDS * Int32Array.BYTES_PER_ELEMENT);
  readonly #counts = new Int32Array(this.index);
  /** By script, the newest one only. */
  readonly #images = new Map<string, Kept>();

  get size(): number {
    return this.#images.size;
  }

  /** Takes what a worker tells. Gives the answer, if it has asked something. */
  heard(worker: number, news: ImageNews): ImageAnswer | undefined {
    if ('wanted' in news) {
      const kept = this.#images.get(news.wanted);
      kept?.users.add(worker);
      return { question: news.question, image: kept?.image };
    }
    if ('offered' in news) this.#keep(worker, news.offered);
    else {
      const kept = this.#images.get(news.script);
      if (kept?.image.key === news.dropped) this.#leave(worker, kept);
    }
    return undefined;
  }

  /** A worker is no more. */
  gone(worker: number): void {
    for (const kept of [...this.#images.values()]) this.#leave(worker, kept);
  }

  #keep(worker: number, image: OfferedImage): void {
    const { script } = image;
    if (!this.#images.has(script)) Atomics.add(this.#counts, placeOf(script), 1);
    this.#images.set(script, { image, users: new Set([worker]) });
  }

  #leave(worker: number, { image: { script }, users }: Kept): void {
    if (!users.delete(worker) || users.size > 0) return;
    this.#images.delete(script);
    Atomics.sub(this.#counts, placeOf(script), 1);
  }
}
