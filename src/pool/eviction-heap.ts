/** Idle states in eviction order: a binary heap that knows where each member stands, so any member can leave. */
import { type Candidate, goesBefore } from './policy.js';

export interface HeapMember extends Candidate {
  /** Place in its heap, -1 when in none. Written by the heap only. */
  heapIndex: number;
}

export class EvictionHeap<Member extends HeapMember> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** The member that is evicted first. */
  get first(): Member | undefined {
    return this.#members[0];
  }

  /** Adds a member. Its score and last use must not change until it is removed. */
  add(member: Member): void {
    this.#members.push(member);
    this.#rise(this.#members.length - 1, member);
  }

  remove(member: Member): void {
    const members = this.#members;
    const index = member.heapIndex;
    if (members[index] !== member) return;
    member.heapIndex = -1;
    const last = members.pop() as Member;
    if (last === member) return;
    if (index > 0 && goesBefore(last, members[(index - 1) >> 1] as Member)) this.#rise(index, last);
    else this.#sink(index, last);
  }

  #rise(start: number, member: Member): void {
    const members = this.#members;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = members[parentIndex] as Member;
      if (!goesBefore(member, parent)) break;
      members[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    members[index] = member;
    member.heapIndex = index;
  }

  #sink(start: number, member: Member): void {
    const members = this.#members;
    let index = start;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= members.length) break;
      let child = members[childIndex] as Member;
      const right = members[childIndex + 1];
      if (right !== undefined && goesBefore(right, child)) {
        child = right;
        childIndex += 1;
      }
      if (!goesBefore(child, member)) break;
      members[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    members[index] = member;
    member.heapIndex = index;
  }
}
