/** The places in Lua at which waits have blocked a worker, since Lua cannot be suspended there. */

/** Places that are told apart. */
const MOST_PLACES = 1000;

export class BlockedPlaces {
  readonly #places = new Set<string>();

  /**
   * A wait blocks the worker at this place.
   * @param isForClient it waits for its client to read
   * @returns what the log is to say, when it is the first one there
   */
  note(place: string, isForClient: boolean): string | undefined {
    if (this.#places.has(place) || this.#places.size >= MOST_PLACES) return undefined;
    this.#places.add(place);
    return isForClient
      ? `${place}: output blocks the worker here until the client reads, since Lua is not suspended at this place`
      : `${place}: a wait blocks the worker here, since Lua cannot be suspended inside of this construct`;
  }
}
