/**
 * Who waits for a state: first come, first served within a script; scripts take turns. It is bounded, and when it is
 * full the script with the longest line pays, so that a flood of one script turns nobody else away.
 *
 * Every request passes through here, most of them without having to wait: so the lines are linked lists whose links lie
 * in the waiters themselves, and coming and going makes nothing but one map entry per script.
 */

/** Anything that waits; only its identity and its script count here. */
export interface Waiter {
  readonly script: string;
  readonly queuedMs: number;
  /** Where it stands; the waiting line's own. */
  place?: Place | undefined;
}

/** A waiter's links: to those before and after it in its line, and among all. */
export interface Place {
  line: Line | undefined;
  before: Waiter | undefined;
  behind: Waiter | undefined;
  older: Waiter | undefined;
  newer: Waiter | undefined;
}

/** The waiters of one script, and its neighbours in the order of turns. */
interface Line {
  readonly script: string;
  size: number;
  first: Waiter | undefined;
  last: Waiter | undefined;
  previous: Line | undefined;
  next: Line | undefined;
}

export class WaitQueue<W extends Waiter> {
  /** Most that may wait. */
  limit: number;
  /** Lines in which somebody stands. */
  readonly #lines = new Map<string, Line>();
  /** The lines in the order in which their turns come. */
  #firstLine: Line | undefined;
  #lastLine: Line | undefined;
  /** Everybody, in order of arrival: those in the lines and those beside them. */
  #size = 0;
  #oldest: Waiter | undefined;
  #newest: Waiter | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Lets a waiter join at the end of its script's line. */
  join(waiter: W): void {
    const place: Place = {
      line: undefined,
      before: undefined,
      behind: undefined,
      older: this.#newest,
      newer: undefined,
    };
    waiter.place = place;
    if (this.#newest === undefined) this.#oldest = waiter;
    else placeOf(this.#newest).newer = waiter;
    this.#newest = waiter;
    this.#size += 1;
    const line = this.#lineOf(waiter.script);
    place.line = line;
    place.before = line.last;
    if (line.last === undefined) line.first = waiter;
    else placeOf(line.last).behind = waiter;
    line.last = waiter;
    line.size += 1;
  }

  /** A waiter steps beside its line: it is about to be served, and still counts as waiting. */
  stepAside(waiter: W): void {
    this.#leaveLine(waiter);
  }

  /** A waiter steps back to the head of its line. */
  stepBack(waiter: W): void {
    const place = placeOf(waiter);
    const line = this.#lineOf(waiter.script);
    place.line = line;
    place.behind = line.first;
    if (line.first === undefined) line.last = waiter;
    else placeOf(line.first).before = waiter;
    line.first = waiter;
    line.size += 1;
  }

  /**
   * While more wait than may: who has to be turned away, which is the last to come of those in the longest lines. To be
   * asked when everybody has left who can start: who need not wait is not too many.
   */
  excess(): W | undefined {
    if (this.#size <= this.limit) return undefined;
    let longest = 1;
    for (let line = this.#firstLine; line !== undefined; line = line.next) longest = Math.max(longest, line.size);
    // In a flood the newest is the one, which spares a walk for each that is turned away.
    for (let waiter = this.#newest; waiter !== undefined; waiter = placeOf(waiter).older) {
      if (placeOf(waiter).line?.size === longest) return waiter as W;
    }
    return undefined;
  }

  /** Takes a waiter out, served or not; unknown ones are ignored. */
  leave(waiter: W): void {
    const { place } = waiter;
    if (place === undefined) return;
    this.#leaveLine(waiter);
    if (place.older === undefined) this.#oldest = place.newer;
    else placeOf(place.older).newer = place.newer;
    if (place.newer === undefined) this.#newest = place.older;
    else placeOf(place.newer).older = place.older;
    waiter.place = undefined;
    this.#size -= 1;
  }

  /** The script has had its turn: its line moves behind all others. */
  endTurn(script: string): void {
    if (this.#firstLine === this.#lastLine) return;
    const line = this.#lines.get(script);
    if (line === undefined) return;
    this.#unlink(line);
    this.#append(line);
  }

  /** The first of the line whose turn it is. */
  get head(): W | undefined {
    return this.#firstLine?.first as W | undefined;
  }

  /** The first of the line whose turn comes after that of this first of a line. */
  headAfter(head: W): W | undefined {
    return head.place?.line?.next?.first as W | undefined;
  }

  /** Everybody who arrived before `beforeMs`, oldest first. */
  arrivedBefore(beforeMs: number): W[] {
    const found: W[] = [];
    for (let waiter = this.#oldest; waiter !== undefined; waiter = placeOf(waiter).newer) {
      if (waiter.queuedMs >= beforeMs) break;
      found.push(waiter as W);
    }
    return found;
  }

  #lineOf(script: string): Line {
    const known = this.#lines.get(script);
    if (known !== undefined) return known;
    const line: Line = { script, size: 0, first: undefined, last: undefined, previous: undefined, next: undefined };
    this.#lines.set(script, line);
    this.#append(line);
    return line;
  }

  #leaveLine(waiter: W): void {
    const place = placeOf(waiter);
    const { line } = place;
    if (line === undefined) return;
    if (place.before === undefined) line.first = place.behind;
    else placeOf(place.before).behind = place.behind;
    if (place.behind === undefined) line.last = place.before;
    else placeOf(place.behind).before = place.before;
    place.line = undefined;
    place.before = undefined;
    place.behind = undefined;
    line.size -= 1;
    if (line.size > 0) return;
    this.#lines.delete(line.script);
    this.#unlink(line);
  }

  #append(line: Line): void {
    line.previous = this.#lastLine;
    line.next = undefined;
    if (this.#lastLine === undefined) this.#firstLine = line;
    else this.#lastLine.next = line;
    this.#lastLine = line;
  }

  #unlink(line: Line): void {
    if (line.previous === undefined) this.#firstLine = line.next;
    else line.previous.next = line.next;
    if (line.next === undefined) this.#lastLine = line.previous;
    else line.next.previous = line.previous;
  }
}

function placeOf(waiter: Waiter): Place {
  return waiter.place as Place;
}
