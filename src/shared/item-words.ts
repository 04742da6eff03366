/** The words of the first block of an item, and of an element of a list. */

/** The item behind it in its bucket. */
export const BUCKET_NEXT = 0;
/** Its neighbours in the order of use. */
export const NEWER = 1;
export const OLDER = 2;
export const HASH = 3;
export const KEY_BYTES = 4;
export const TYPE = 5;
/** The user's number; of a list: how many elements it has. */
export const FLAGS = 6;
export const GENERATION = 7;
/** When it expires, in milliseconds: a 64-bit number; 0: never. */
export const EXPIRES = 8;
/** A number or boolean, 64 bits; of bytes their number; of a list its first and last element. */
export const NUMBER = 10;
export const LIST_FIRST = 10;
export const LIST_LAST = 11;
/** The chain that has the key, and behind it the bytes of the value. */
export const BODY_FIRST = 12;
export const BODY_LAST = 13;
export const BODY_COUNT = 14;
/** Its place among those that expire; 0: none. */
export const HEAP_AT = 15;

/** An element of a list: its neighbours, its value, and its chain, which begins with it. Bytes lie behind these words. */
export const TO_FIRST = 0;
export const TO_LAST = 1;
export const ELEMENT_TYPE = 2;
export const ELEMENT_BYTES = 3;
export const ELEMENT_NUMBER = 4;
export const CHAIN_LAST = 6;
export const CHAIN_COUNT = 7;
export const ELEMENT_OFFSET = 32;

export const ValueType = { BYTES: 1, NUMBER: 2, INTEGER: 3, BOOLEAN: 4, LIST: 5 } as const;
export type ValueType = (typeof ValueType)[keyof typeof ValueType];
