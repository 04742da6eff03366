/** What workers and the main thread say to each other about images of scripts that several workers use. */

/** An image that other workers may use. */
export interface OfferedImage<Image = unknown, Files = unknown> {
  /** One character per byte. */
  readonly script: string;
  /** Unlike that of any other image. */
  readonly key: string;
  readonly lua: Image;
  /** What it was made of. */
  readonly files: Files;
  /** What a state with the script takes. */
  readonly memoryBytes: number;
}

/** What a worker tells the main thread. */
export type ImageNews =
  | { readonly offered: OfferedImage }
  | { readonly wanted: string; readonly question: number }
  /** It uses this image no more. */
  | { readonly dropped: string; readonly script: string };

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
export function placeOf(script: string): number {
  let hash = 0;
  for (let at = 0; at < script.length; at += 1) hash = (Math.imul(hash, 31) + script.charCodeAt(at)) | 0;
  return hash & (INDEX_WORDS - 1);
}
