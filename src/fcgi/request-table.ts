/**
 * Things by the ids of a connection's requests. Most web servers have one request at a time on a connection, and many
 * make a connection for each: so the first has a place of its own, and only more of them make a map.
 */
export class RequestTable<T> {
  #firstId = 0;
  #first: T | undefined;
  #others: Map<number, T> | undefined;

  get size(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.size ?? 0);
  }

  get(id: number): T | undefined {
    return this.#first !== undefined && this.#firstId === id ? this.#first : this.#others?.get(id);
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** @param id no other one is in the table under it */
  add(id: number, value: T): void {
    if (this.#first === undefined) {
      this.#firstId = id;
      this.#first = value;
      return;
    }
    this.#others ??= new Map();
    this.#others.set(id, value);
  }

  delete(id: number): void {
    if (this.#first !== undefined && this.#firstId === id) this.#first = undefined;
    else this.#others?.delete(id);
  }

  /** The ids of all, as they are now. */
  ids(): number[] {
    const first = this.#first === undefined ? [] : [this.#firstId];
    return this.#others === undefined ? first : [...first, ...this.#others.keys()];
  }

  /** All of them, as they are now. */
  values(): T[] {
    const first = this.#first === undefined ? [] : [this.#first];
    return this.#others === undefined ? first : [...first, ...this.#others.values()];
  }
}
